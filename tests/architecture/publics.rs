//! What is `pub` in the binary's crate although no other file speaks of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, Visibility};

use crate::source::Workspace;

/// Adds every word of the code to `words`: names, and those that a format string takes in (`{name}`). What a `pub use`
/// passes on is not yet used.
fn words(tokens: TokenStream, words: &mut BTreeSet<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => self::words(group.stream(), words),
            TokenTree::Ident(ident) if ident == "pub" => {
                if matches!(tokens.peek(), Some(TokenTree::Group(_))) {
                    tokens.next();
                }
                if matches!(tokens.peek(), Some(TokenTree::Ident(word)) if word == "use") {
                    tokens.by_ref().find(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ';'));
                }
            }
            TokenTree::Ident(ident) => {
                words.insert(ident.to_string());
            }
            TokenTree::Literal(literal) => {
                let name = |part: &str| {
                    part.split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned)
                };
                words.extend(literal.to_string().split('{').skip(1).filter_map(name));
            }
            TokenTree::Punct(_) => {}
        }
    }
}

/// The items that are visible outside, and the names that their signatures and fields speak of: a type that a `pub`
/// function returns has to be `pub` too.
#[derive(Default)]
struct Visible {
    items: Vec<(String, usize)>,
    exposed: BTreeSet<String>,
}

/// Collects the names in a signature, a field or a trait.
struct Names<'a>(&'a mut BTreeSet<String>);

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.extend(path.segments.iter().map(|segment| segment.ident.to_string()));
        visit::visit_path(self, path);
    }
    fn visit_block(&mut self, _: &'ast syn::Block) {}
}

impl Visible {
    fn item(&mut self, visibility: &Visibility, ident: &syn::Ident) {
        if !matches!(visibility, Visibility::Inherited) {
            self.items.push((ident.to_string(), ident.span().start().line));
        }
    }

    fn read(&mut self, item: &Item) {
        match item {
            Item::Fn(item) => {
                self.item(&item.vis, &item.sig.ident);
                Names(&mut self.exposed).visit_signature(&item.sig);
            }
            Item::Const(item) => {
                self.item(&item.vis, &item.ident);
                Names(&mut self.exposed).visit_type(&item.ty);
            }
            Item::Static(item) => self.item(&item.vis, &item.ident),
            Item::Type(item) => {
                self.item(&item.vis, &item.ident);
                Names(&mut self.exposed).visit_type(&item.ty);
            }
            Item::Struct(item) => {
                self.item(&item.vis, &item.ident);
                let visible = item.fields.iter().filter(|field| !matches!(field.vis, Visibility::Inherited));
                visible.for_each(|field| Names(&mut self.exposed).visit_type(&field.ty));
            }
            Item::Enum(item) => {
                self.item(&item.vis, &item.ident);
                item.variants.iter().for_each(|variant| Names(&mut self.exposed).visit_variant(variant));
            }
            Item::Trait(item) => {
                self.item(&item.vis, &item.ident);
                item.items.iter().for_each(|part| Names(&mut self.exposed).visit_trait_item(part));
            }
            Item::Impl(item) => {
                for part in &item.items {
                    match part {
                        syn::ImplItem::Fn(method) => {
                            if item.trait_.is_none() {
                                self.item(&method.vis, &method.sig.ident);
                            }
                            Names(&mut self.exposed).visit_signature(&method.sig);
                        }
                        syn::ImplItem::Type(of) => Names(&mut self.exposed).visit_type(&of.ty),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// Items of the crate `emotiond` that are visible outside their module while no other file names them, their own tests
/// apart: `file:line name`.
pub fn unused(workspace: &Workspace) -> Vec<String> {
    let named_in: BTreeMap<&PathBuf, BTreeSet<String>> = workspace
        .files
        .iter()
        .map(|(file, text)| {
            let mut found = BTreeSet::new();
            words(text.parse().unwrap_or_else(|e| panic!("{}: {e}", file.display())), &mut found);
            (file, found)
        })
        .collect();
    let mut unused = Vec::new();
    for (path, module) in workspace.modules.iter().filter(|(path, _)| path.starts_with("emotiond::")) {
        let mut visible = Visible::default();
        let parsed = syn::parse_file(&workspace.files[&module.file]).unwrap();
        parsed.items.iter().for_each(|item| visible.read(item));
        let own = |file: &Path| file == module.file || workspace.tests.get(file) == Some(path);
        for (name, line) in visible.items {
            let named = named_in.iter().any(|(file, words)| !own(file) && words.contains(&name));
            // What the documentation of another item links to belongs to that item's promise.
            let linked = workspace.files[&module.file].contains(&format!("[`{name}`]"));
            if !named && !linked && !visible.exposed.contains(&name) {
                unused.push(format!("{}:{line} {name}", module.file.display()));
            }
        }
    }
    unused
}
