//! A field's type in protobuf.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{GenericArgument, PathArguments, Type};

/// How often a field occurs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    One,
    Optional,
    Repeated,
}

/// What `#[prost(…)]` must say of a field, and how a schema shows it.
pub(crate) struct Field {
    /// Inside of `prost(…)`, without the tag.
    pub(crate) prost: TokenStream,
    /// The label and type in a `.proto`, as tokens of a `String` expression.
    pub(crate) shown: TokenStream,
    /// The message type in it, if any.
    pub(crate) message: Option<Type>,
}

/// Reads a field's type.
pub(crate) fn field(ty: &Type, root: &syn::Path) -> syn::Result<Field> {
    if let Some((key, value)) = map_of(ty) {
        return map_field(ty, &key, &value, root);
    }
    let (label, inner) = labelled(ty);
    if label == Label::Repeated && is_named(&inner, "u8") {
        return Ok(Field { prost: quote!(bytes = "vec"), shown: quote!("bytes".to_owned()), message: None });
    }
    let label_words = match label {
        Label::One => quote!(),
        Label::Optional => quote!(, optional),
        Label::Repeated => quote!(, repeated),
    };
    let prefix = match label {
        Label::One => "",
        Label::Optional => "optional ",
        Label::Repeated => "repeated ",
    };
    if is_named(&inner, "Bytes") {
        let shown = format!("{prefix}bytes");
        return Ok(Field {
            prost: quote!(bytes = "bytes" #label_words),
            shown: quote!(#shown.to_owned()),
            message: None,
        });
    }
    if let Some(word) = scalar(&inner)? {
        let ident = syn::Ident::new(word, proc_macro2::Span::call_site());
        let shown = format!("{prefix}{word}");
        return Ok(Field {
            prost: quote!(#ident #label_words),
            shown: quote!(#shown.to_owned()),
            message: None,
        });
    }
    let prost = if label == Label::One { quote!(message, required) } else { quote!(message #label_words) };
    // In protobuf every message may be absent: the word would be redundant.
    let prefix = if label == Label::Optional { "" } else { prefix };
    let shown = quote!(format!("{}{}", #prefix, <#inner as #root::Describe>::NAME));
    Ok(Field { prost, shown, message: Some(inner) })
}

fn map_field(ty: &Type, key: &Type, value: &Type, root: &syn::Path) -> syn::Result<Field> {
    let unknown = || syn::Error::new_spanned(ty, "the key of a map is a whole number, a bool or a String");
    let key = scalar(key)?.ok_or_else(unknown)?;
    let (word, shown, message) = match scalar(value)? {
        Some(word) => (word, quote!(format!("map<{}, {}>", #key, #word)), None),
        None => {
            let shown = quote!(format!("map<{}, {}>", #key, <#value as #root::Describe>::NAME));
            ("message", shown, Some(value.clone()))
        }
    };
    let pair = format!("{key}, {word}");
    Ok(Field { prost: quote!(btree_map = #pair), shown, message })
}

fn labelled(ty: &Type) -> (Label, Type) {
    match (generic(ty, "Option"), generic(ty, "Vec")) {
        (Some(inner), _) => (Label::Optional, inner),
        (_, Some(inner)) => (Label::Repeated, inner),
        _ => (Label::One, ty.clone()),
    }
}

fn scalar(ty: &Type) -> syn::Result<Option<&'static str>> {
    let Some(name) = last_name(ty) else {
        return Err(syn::Error::new_spanned(ty, "protobuf has no such type"));
    };
    let word = match name.as_str() {
        "bool" => "bool",
        "u32" => "uint32",
        "u64" => "uint64",
        "i32" => "sint32",
        "i64" => "sint64",
        "f32" => "float",
        "f64" => "double",
        "String" => "string",
        "u8" | "u16" | "usize" => {
            return Err(syn::Error::new_spanned(ty, "protobuf has no such number: write u32 or u64"));
        }
        "i8" | "i16" | "isize" => {
            return Err(syn::Error::new_spanned(ty, "protobuf has no such number: write i32 or i64"));
        }
        _ => return Ok(None),
    };
    Ok(Some(word))
}

fn last_name(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    path.path.segments.last().map(|s| s.ident.to_string())
}

fn is_named(ty: &Type, name: &str) -> bool {
    last_name(ty).is_some_and(|n| n == name)
}

fn arguments(ty: &Type, name: &str) -> Option<Vec<Type>> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|s| s.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let types = arguments.args.iter().filter_map(|a| match a {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    Some(types.collect())
}

fn generic(ty: &Type, name: &str) -> Option<Type> {
    arguments(ty, name).and_then(|types| types.into_iter().next())
}

fn map_of(ty: &Type) -> Option<(Type, Type)> {
    let mut types = arguments(ty, "BTreeMap")?.into_iter();
    Some((types.next()?, types.next()?))
}
