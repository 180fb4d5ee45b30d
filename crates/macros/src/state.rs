//! `#[derive(State)]`: the head of a kind of entity.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, LitInt, LitStr, Path, Type};

use crate::default_path;

#[derive(Default)]
struct Head {
    root: Option<Path>,
    kind: Option<LitInt>,
    name: Option<LitStr>,
    role: Option<&'static str>,
    world: Option<Type>,
    event: Option<Type>,
    public: Option<Type>,
    signal: Option<Type>,
    ask: Option<Type>,
    message: Option<Type>,
    timer: Option<Type>,
    order: Option<Type>,
    order_answer: Option<Type>,
    answer: Option<Type>,
    command: Option<Type>,
    reply: Option<Type>,
    private: Option<Type>,
    tell: Option<Type>,
    live: Option<Type>,
    durable: Option<Type>,
    asking_creates: bool,
}

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    let head = read(item)?;
    let Err(error) = check(item, &head) else { return Ok(write(&item.ident, &head)) };
    let mut tokens = error.into_compile_error();
    if head.kind.is_some() && head.name.is_some() && head.event.is_some() {
        // The one error is enough: without the head every use of the kind would be another.
        tokens.extend(write(&item.ident, &head));
    }
    Ok(tokens)
}

fn read(item: &DeriveInput) -> syn::Result<Head> {
    let mut head = Head::default();
    for attribute in item.attrs.iter().filter(|a| a.path().is_ident("state")) {
        attribute.parse_nested_meta(|meta| {
            let Some(word) = meta.path.get_ident().map(ToString::to_string) else {
                return Err(meta.error("a word of `state`"));
            };
            let slot = match word.as_str() {
                "crate" => {
                    head.root = Some(meta.value()?.parse()?);
                    return Ok(());
                }
                "kind" => {
                    head.kind = Some(meta.value()?.parse()?);
                    return Ok(());
                }
                "name" => {
                    head.name = Some(meta.value()?.parse()?);
                    return Ok(());
                }
                "asking_creates" => {
                    head.asking_creates = true;
                    return Ok(());
                }
                "player" | "land" | "placed" => {
                    let role = match word.as_str() {
                        "player" => "Player",
                        "land" => "Land",
                        _ => "Placed",
                    };
                    if head.role.replace(role).is_some() {
                        return Err(meta.error("a kind has one role: player, land, placed, or none of them"));
                    }
                    return Ok(());
                }
                "world" => &mut head.world,
                "event" => &mut head.event,
                "public" => &mut head.public,
                "signal" => &mut head.signal,
                "ask" => &mut head.ask,
                "message" => &mut head.message,
                "timer" => &mut head.timer,
                "order" => &mut head.order,
                "order_answer" => &mut head.order_answer,
                "answer" => &mut head.answer,
                "command" => &mut head.command,
                "reply" => &mut head.reply,
                "private" => &mut head.private,
                "tell" => &mut head.tell,
                "live" => &mut head.live,
                "durable" => &mut head.durable,
                _ => {
                    return Err(meta.error(
                        "`state` knows kind, name, player, land, placed, world, event, public, signal, ask, answer, message, timer, \
                         order, order_answer, command, reply, private, tell, live, durable and asking_creates",
                    ));
                }
            };
            if slot.is_some() {
                return Err(meta.error("it is said twice"));
            }
            *slot = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(head)
}

fn check(item: &DeriveInput, head: &Head) -> syn::Result<()> {
    let fail = |text: &str| Err(syn::Error::new_spanned(&item.ident, text));
    let is_player = head.role == Some("Player");
    if head.kind.is_none() || head.name.is_none() || head.event.is_none() {
        return fail("a kind needs at least #[state(kind = 1, name = \"…\", event = …)]");
    }
    if let Some(kind) = &head.kind
        && kind.base10_parse::<u16>().is_ok_and(|n| n == 0)
    {
        return fail("kinds are numbered from 1");
    }
    if is_player && head.command.is_none() {
        return fail("a player needs `command = …`: what a client can send");
    }
    if is_player && head.asking_creates {
        return fail("a player comes into the world by itself: no ask creates one");
    }
    let players = [&head.command, &head.reply, &head.private, &head.tell];
    if !is_player && players.iter().any(|word| word.is_some()) {
        return fail(
            "`command`, `reply`, `private` and `tell` are a player's; what other entities ask is `ask`",
        );
    }
    if head.ask.is_none() && head.answer.is_some() {
        return fail("`answer` needs `ask`");
    }
    if head.order.is_none() && head.order_answer.is_some() {
        return fail("`order_answer` needs `order`");
    }
    if head.ask.is_none() && head.message.is_none() && head.asking_creates {
        return fail("`asking_creates` needs `ask` or `message`");
    }
    if !is_player && head.ask.is_none() && head.live.is_none() && head.message.is_none() {
        return fail("nobody can ask this kind: say `ask = …`");
    }
    if head.live.is_some() && head.role != Some("Land") {
        return fail("only land ticks: `live` needs `land`");
    }
    Ok(())
}

fn write(ident: &syn::Ident, head: &Head) -> TokenStream {
    let root = head.root.clone().unwrap_or_else(default_path);
    let (kind, name) = (&head.kind, &head.name);
    let role = head.role.unwrap_or("Home");
    let role = syn::Ident::new(role, ident.span());
    let unit: Type = syn::parse_quote!(());
    let never: Type = syn::parse_quote!(#root::Never);
    let this: Type = syn::parse_quote!(#ident);
    let or = |ty: &Option<Type>, other: &Type| ty.clone().unwrap_or_else(|| other.clone());
    let (world, event) = (or(&head.world, &unit), or(&head.event, &unit));
    let (public, signal) = (or(&head.public, &this), or(&head.signal, &unit));
    let (ask, answer) = (or(&head.ask, &never), or(&head.answer, &unit));
    let (message, timer) = (or(&head.message, &never), or(&head.timer, &never));
    let (order, order_answer) = (or(&head.order, &never), or(&head.order_answer, &unit));
    let (command, reply, private) =
        (or(&head.command, &never), or(&head.reply, &unit), or(&head.private, &unit));
    let tell = or(&head.tell, &never);
    let (live, durable) = (or(&head.live, &unit), or(&head.durable, &this));
    let (load, save) = stored(&root, head);
    let registered = registered(&root, ident, head);
    let creates = head.asking_creates || head.role == Some("Land");
    quote! {
        impl #root::State for #ident {
            const KIND: #root::Kind = #root::Kind(#kind);
            const NAME: &'static str = #name;
            const ROLE: #root::Role = #root::Role::#role;
            const ASKING_CREATES: bool = #creates;
            type World = #world;
            type Durable = #durable;
            type Event = #event;
            type Public = #public;
            type Signal = #signal;
            type Ask = #ask;
            type Answer = #answer;
            type Message = #message;
            type Timer = #timer;
            type Order = #order;
            type OrderAnswer = #order_answer;
            type Command = #command;
            type Reply = #reply;
            type Private = #private;
            type Tell = #tell;
            type Live = #live;
            fn from_durable(id: u64, world: &#world, durable: #durable) -> Self {
                #load
            }
            fn to_durable(&self) -> #durable {
                #save
            }
            fn describe(schema: &mut #root::Schema) {
                #[allow(unused_imports)]
                use #root::{Described as _, Undescribed as _};
                schema.kind(Self::NAME, #kind);
                (&&#root::Probe::<#command>::NEW).describe(schema, "commands");
                (&&#root::Probe::<#reply>::NEW).describe(schema, "replies");
                (&&#root::Probe::<#public>::NEW).describe(schema, "public part");
                (&&#root::Probe::<#private>::NEW).describe(schema, "private part");
                (&&#root::Probe::<#signal>::NEW).describe(schema, "signals");
                (&&#root::Probe::<#tell>::NEW).describe(schema, "told to it alone");
            }
        }

        #registered
    }
}

/// How the durable state becomes the entity, and the other way round.
fn stored(root: &Path, head: &Head) -> (TokenStream, TokenStream) {
    if head.durable.is_some() {
        let load = quote!(<Self as #root::Stored>::load(id, world, durable));
        return (load, quote!(<Self as #root::Stored>::save(self)));
    }
    let load = quote!({
        let _ = (id, world);
        durable
    });
    (load, quote!(::std::clone::Clone::clone(self)))
}

/// The rules that the head promises: a trait that nobody implements is a compile error here.
fn registered(root: &Path, ident: &syn::Ident, head: &Head) -> TokenStream {
    let asked = head.ask.is_some().then(|| quote!(.asked()));
    let receiving = head.message.is_some().then(|| quote!(.receiving()));
    let timed = head.timer.is_some().then(|| quote!(.timed()));
    let ordered = head.order.is_some().then(|| quote!(.ordered()));
    let player = (head.role == Some("Player")).then(|| quote!(.player()));
    let placed = (head.role == Some("Placed")).then(|| quote!(.placed()));
    let ticking = head.live.is_some().then(|| quote!(.ticking()));
    quote! {
        impl #root::Registered for #ident {
            fn methods() -> #root::Methods<Self> {
                #root::Methods::new() #asked #receiving #timed #ordered #player #placed #ticking
            }
        }
    }
}
