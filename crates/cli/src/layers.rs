//! Layers of configuration as TOML tables: the environment as one, and one laid over another.

use std::ffi::OsString;

use toml::{Table, Value};

/// Begins every variable of ours.
const PREFIX: &str = "GUNDO_";
/// Variables that are no keys: where the configuration is, and a secret.
const NO_KEYS: [&str; 2] = ["config", "admin_token"];

/// Lays `over` on `under`: tables are merged, everything else is replaced.
pub(crate) fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

/// The environment as a table: `GUNDO_WORLD__TICK_MS=50` is `tick_ms = 50` in `[world]`. A value is read as TOML; what is none is a word.
pub(crate) fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Table {
    let mut all = Table::new();
    for (name, value) in variables {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        let Some(name) = name.strip_prefix(PREFIX).map(str::to_lowercase) else { continue };
        if NO_KEYS.contains(&name.as_str()) {
            continue;
        }
        let parsed = format!("value = {value}").parse::<Table>().ok().and_then(|mut t| t.remove("value"));
        let value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
        let lay = |value, key: &str| Value::Table(Table::from_iter([(key.to_owned(), value)]));
        if let Value::Table(table) = name.rsplit("__").fold(value, lay) {
            merge(&mut all, table);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Table {
        environment(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn variables_are_keys_and_words_need_no_quotes() {
        let read = read(&[
            ("GUNDO_NODES", "5"),
            ("GUNDO_WORLD__TICK_MS", "50"),
            ("GUNDO_WORLD__LIMITS__CONNECTIONS_MAX", "7"),
            ("GUNDO_LISTEN", "127.0.0.1:80"),
            ("GUNDO_DATA", "\"5\""),
            ("GUNDO_ADMIN_TOKEN", "secret"),
            ("HOME", "/root"),
        ]);
        let expected = "nodes = 5\nlisten = '127.0.0.1:80'\ndata = '5'\nworld.tick_ms = 50\nworld.limits.connections_max = 7";
        assert_eq!(read, expected.parse::<Table>().expect("TOML"));
    }

    #[test]
    fn tables_are_merged_and_the_rest_is_replaced() {
        let mut under: Table = "a = [1, 2]\nb = 1\nt.x = 1\nt.y = 2".parse().expect("TOML");
        merge(&mut under, "a = [3]\nt.y = 3\nt.z = 4".parse().expect("TOML"));
        assert_eq!(under, "a = [3]\nb = 1\nt.x = 1\nt.y = 3\nt.z = 4".parse::<Table>().expect("TOML"));
    }
}
