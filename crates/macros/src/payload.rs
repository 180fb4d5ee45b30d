//! Payloads of enums: encoded as a message with one of several fields.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Fields, Ident, Type};

use crate::default_path;

/// One variant.
pub(crate) struct Choice {
    pub(crate) ident: Ident,
    pub(crate) tag: u32,
    /// The message in it.
    pub(crate) held: Option<Type>,
}

/// `#[derive(Payload)]` on a `oneof` of prost-build.
pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Enum(data) = &item.data else {
        return Err(syn::Error::new_spanned(
            &item.ident,
            "Payload is derived for a oneof; a message is one already",
        ));
    };
    let mut choices = Vec::new();
    for variant in &data.variants {
        let tag = prost_tag(&variant.attrs)?;
        let tag = tag.ok_or_else(|| {
            syn::Error::new_spanned(variant, "no tag of a message: #[prost(message, tag = \"1\")]")
        })?;
        let held = match &variant.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => fields.unnamed[0].ty.clone(),
            other => return Err(syn::Error::new_spanned(other, "a variant holds one message")),
        };
        choices.push(Choice { ident: variant.ident.clone(), tag, held: Some(held) });
    }
    let mut root = default_path();
    for attribute in item.attrs.iter().filter(|a| a.path().is_ident("payload")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("crate") {
                root = meta.value()?.parse()?;
                return Ok(());
            }
            Err(meta.error("only `crate = path`"))
        })?;
    }
    Ok(payload_impl(&root, &item.ident, &choices))
}

/// The tag in `#[prost(message, tag = "1")]`.
fn prost_tag(attrs: &[Attribute]) -> syn::Result<Option<u32>> {
    let (mut tag, mut is_message) = (None, false);
    for attribute in attrs.iter().filter(|a| a.path().is_ident("prost")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("tag") {
                let text: syn::LitStr = meta.value()?.parse()?;
                tag = Some(text.value().parse::<u32>().map_err(|_| meta.error("a tag is a number"))?);
            } else if meta.path.is_ident("message") {
                is_message = true;
            } else if meta.input.peek(syn::Token![=]) {
                let _: syn::Expr = meta.value()?.parse()?;
            }
            Ok(())
        })?;
    }
    Ok(tag.filter(|_| is_message))
}

pub(crate) fn payload_impl(root: &syn::Path, ident: &Ident, choices: &[Choice]) -> TokenStream {
    let prost = quote!(#root::prost);
    let write = choices.iter().map(|Choice { ident, tag, held }| match held {
        Some(_) => quote!(Self::#ident(held) => #prost::encoding::message::encode(#tag, held, &mut bytes)),
        None => quote!(Self::#ident => #prost::encoding::message::encode(#tag, &(), &mut bytes)),
    });
    let read = choices.iter().map(|Choice { ident, tag, held }| {
        let take = match held {
            // If a message occurs twice, protobuf merges the later into the earlier.
            Some(ty) => quote! {
                let mut held: #ty = match found.take() {
                    ::std::option::Option::Some(Self::#ident(held)) => held,
                    _ => ::std::default::Default::default(),
                };
                #prost::encoding::message::merge(wire_type, &mut held, &mut rest, context)?;
                found = ::std::option::Option::Some(Self::#ident(held));
            },
            None => quote! {
                #prost::encoding::message::merge(wire_type, &mut (), &mut rest, context)?;
                found = ::std::option::Option::Some(Self::#ident);
            },
        };
        quote!(#tag => { #take })
    });
    quote! {
        impl #root::Payload for #ident {
            fn to_bytes(&self) -> #root::Bytes {
                let mut bytes = ::std::vec::Vec::new();
                match self {
                    #(#write,)*
                }
                bytes.into()
            }
            fn from_bytes(bytes: &[u8]) -> ::std::result::Result<::std::option::Option<Self>, #root::DecodeError> {
                let mut rest = bytes;
                let mut found: ::std::option::Option<Self> = ::std::option::Option::None;
                while !rest.is_empty() {
                    let (tag, wire_type) = #prost::encoding::decode_key(&mut rest)?;
                    let context = #prost::encoding::DecodeContext::default();
                    match tag {
                        #(#read)*
                        _ => #prost::encoding::skip_field(wire_type, tag, &mut rest, context)?,
                    }
                }
                ::std::result::Result::Ok(found)
            }
        }
    }
}
