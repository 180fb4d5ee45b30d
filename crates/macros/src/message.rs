//! `#[message]`: a struct becomes a prost message, an enum a payload.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::Parser;
use syn::{Attribute, Data, DataEnum, DeriveInput, Fields, LitInt, Type};

use crate::default_path;
use crate::field::field;
use crate::payload::{Choice, payload_impl};

pub(crate) fn expand(attribute: TokenStream, item: DeriveInput) -> syn::Result<TokenStream> {
    let Words { root, numbers } = words(attribute)?;
    if !item.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(&item.generics, "a message has no type parameters"));
    }
    match &item.data {
        Data::Struct(_) => expand_struct(&root, numbers, item),
        Data::Enum(data) => {
            let data = data.clone();
            expand_enum(&root, numbers, item, &data)
        }
        Data::Union(_) => Err(syn::Error::new_spanned(&item.ident, "a union is not a message")),
    }
}

/// What `#[message(…)]` says.
struct Words {
    root: syn::Path,
    numbers: Numbers,
}

/// The numbers of fields and variants, by name; and those already used.
#[derive(Default)]
struct Numbers {
    said: BTreeMap<String, (LitInt, u32)>,
    used: BTreeSet<u32>,
}

/// `crate = path`, and `field = number`.
fn words(attribute: TokenStream) -> syn::Result<Words> {
    let mut words = Words { root: default_path(), numbers: Numbers::default() };
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("crate") {
            words.root = meta.value()?.parse()?;
            return Ok(());
        }
        let name = meta.path.require_ident()?.to_string();
        let literal: LitInt = meta.value()?.parse()?;
        let tag = number(&literal)?;
        match words.numbers.said.insert(name, (literal, tag)) {
            None => Ok(()),
            Some(_) => Err(meta.error("it has a number already")),
        }
    });
    parser.parse2(attribute)?;
    Ok(words)
}

fn number(literal: &LitInt) -> syn::Result<u32> {
    let tag: u32 = literal.base10_parse()?;
    let reserved = (19_000..20_000).contains(&tag);
    if tag == 0 || tag >= 1 << 29 || reserved {
        let text = "a number is from 1 to 536,870,911, and not from 19,000 to 19,999";
        return Err(syn::Error::new_spanned(literal, text));
    }
    Ok(tag)
}

impl Numbers {
    /// The number of a field or variant: from the head, or from its `#[tag(n)]`, which it removes.
    fn take(&mut self, name: &syn::Ident, attrs: &mut Vec<Attribute>) -> syn::Result<Option<u32>> {
        let place = attrs.iter().position(|a| a.path().is_ident("tag"));
        let own = place.map(|at| attrs.remove(at).parse_args::<LitInt>()).transpose()?;
        let own = own.map(|literal| number(&literal).map(|tag| (literal, tag))).transpose()?;
        let (literal, tag) = match (own, self.said.remove(&name.to_string())) {
            (None, None) => return Ok(None),
            (Some(own), None) | (None, Some(own)) => own,
            (Some((own, _)), Some(_)) => {
                return Err(syn::Error::new_spanned(own, "it has a number in the head already"));
            }
        };
        if !self.used.insert(tag) {
            return Err(syn::Error::new_spanned(literal, "something else in this message has this number"));
        }
        Ok(Some(tag))
    }

    /// Checks that every number in the head belongs to a field or variant.
    fn finish(self) -> syn::Result<()> {
        match self.said.into_iter().next() {
            None => Ok(()),
            Some((name, (literal, _))) => {
                Err(syn::Error::new_spanned(literal, format!("the message has no `{name}`")))
            }
        }
    }
}

fn expand_struct(root: &syn::Path, mut numbers: Numbers, mut item: DeriveInput) -> syn::Result<TokenStream> {
    let Data::Struct(data) = &mut item.data else { unreachable!("the caller has looked") };
    let (mut lines, mut refers) = (Vec::new(), Vec::new());
    match &mut data.fields {
        Fields::Named(fields) => {
            for f in &mut fields.named {
                let name = f.ident.clone().expect("a named field has a name");
                let Some(tag) = numbers.take(&name, &mut f.attrs)? else {
                    if f.attrs.iter().any(|a| a.path().is_ident("prost")) {
                        let shown = format!("  // {name}: see the source");
                        lines.push(quote!(#shown.to_owned()));
                        continue;
                    }
                    let text = "a field of a message has a number: #[tag(1)], or #[message(name = 1)]; it never changes once a world exists";
                    return Err(syn::Error::new_spanned(&f.ident, text));
                };
                let known = field(&f.ty, root)?;
                let (words, shown, number) = (&known.prost, &known.shown, tag.to_string());
                f.attrs.push(syn::parse_quote!(#[prost(#words, tag = #number)]));
                let name = name.to_string();
                lines.push(quote!(format!("  {} {} = {};", #shown, #name, #number)));
                refers.extend(known.message);
            }
        }
        Fields::Unit => {}
        Fields::Unnamed(fields) => {
            return Err(syn::Error::new_spanned(fields, "the fields of a message have names"));
        }
    }
    numbers.finish()?;
    let describe = describe(root, &item.ident, &lines, &refers);
    let path = path_text(root);
    let prost_path = format!("{path}::prost");
    // Prost's derive writes Default. Its Debug of a map looks for a crate `prost` in the game: the standard one does not.
    Ok(quote! {
        #[derive(Clone, PartialEq, Debug, #root::prost::Message)]
        #[prost(skip_debug)]
        #[prost(prost_path = #prost_path)]
        #item
        #describe
    })
}

fn expand_enum(
    root: &syn::Path,
    mut numbers: Numbers,
    mut item: DeriveInput,
    data: &DataEnum,
) -> syn::Result<TokenStream> {
    let (mut choices, mut lines, mut refers) = (Vec::new(), Vec::new(), Vec::new());
    let mut variants = data.clone();
    for variant in &mut variants.variants {
        let Some(tag) = numbers.take(&variant.ident, &mut variant.attrs)? else {
            let text = "a variant of a message has a number: #[tag(1)], or #[message(Name = 1)]; it never changes once a world exists";
            return Err(syn::Error::new_spanned(&variant.ident, text));
        };
        let held = held(&variant.fields)?;
        let name = snake(&variant.ident.to_string());
        let shown = match &held {
            None => quote!(format!("    Nothing {} = {};", #name, #tag)),
            Some(ty) => {
                refers.push(ty.clone());
                quote!(format!("    {} {} = {};", <#ty as #root::Describe>::NAME, #name, #tag))
            }
        };
        if held.is_none() {
            refers.push(syn::parse_quote!(()));
        }
        lines.push(shown);
        choices.push(Choice { ident: variant.ident.clone(), tag, held });
    }
    numbers.finish()?;
    item.data = Data::Enum(variants);
    lines.insert(0, quote!("  oneof choice {".to_owned()));
    lines.push(quote!("  }".to_owned()));
    let describe = describe(root, &item.ident, &lines, &refers);
    let payload = payload_impl(root, &item.ident, &choices);
    Ok(quote! {
        #[derive(Clone, PartialEq, Debug)]
        #item
        #payload
        #describe
    })
}

/// A variant's contents: nothing, or one message.
fn held(fields: &Fields) -> syn::Result<Option<Type>> {
    match fields {
        Fields::Unit => Ok(None),
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Ok(Some(fields.unnamed[0].ty.clone())),
        other => Err(syn::Error::new_spanned(other, "a variant holds one message, or nothing")),
    }
}

fn describe(root: &syn::Path, ident: &syn::Ident, lines: &[TokenStream], refers: &[Type]) -> TokenStream {
    let name = ident.to_string();
    quote! {
        impl #root::Describe for #ident {
            const NAME: &'static str = #name;
            fn describe(schema: &mut #root::Schema) {
                let lines: ::std::vec::Vec<::std::string::String> = ::std::vec![#(#lines),*];
                if schema.add(#name, lines) {
                    #(<#refers as #root::Describe>::describe(schema);)*
                }
            }
        }
    }
}

fn path_text(path: &syn::Path) -> String {
    let lead = if path.leading_colon.is_some() { "::" } else { "" };
    let names: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
    format!("{lead}{}", names.join("::"))
}

/// `ItemTaken` as protobuf writes a field: `item_taken`.
fn snake(name: &str) -> String {
    let mut text = String::new();
    for (i, c) in name.char_indices() {
        if c.is_uppercase() && i > 0 {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    format_ident!("r#{}", text).to_string().trim_start_matches("r#").to_owned()
}
