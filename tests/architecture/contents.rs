//! What one file contains: the names it defines and the paths it mentions, without what only tests compile.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// What a name in a module stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Name {
    /// A module declared here.
    Child,
    /// A function, type, constant … defined here.
    Item,
    /// A `use`: the path as it is written.
    Import(Vec<String>),
}

/// A path in the source, as it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reference {
    /// The segments; those of a `use` group are joined to their prefix, a glob is left out.
    pub path: Vec<String>,
    /// Line in the file, from 1.
    pub line: usize,
    /// Whether it stands in a `use`: only there can one segment name a module.
    pub import: bool,
    /// Whether it is a `use` that others may import from (`pub`, `pub(crate)`, `pub(super)`).
    pub reexport: bool,
}

/// A module declared in a file.
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Whether only tests compile it.
    pub test: bool,
    /// `#[path = "…"]`.
    pub path: Option<String>,
    /// What it contains, if that stands between braces in the same file.
    pub inline: Option<Contents>,
}

/// What a module contains, its inline modules apart.
#[derive(Default)]
pub struct Contents {
    /// The names it has.
    pub names: BTreeMap<String, Name>,
    /// What it imports with a `*`.
    pub globs: Vec<Vec<String>>,
    /// The paths it mentions.
    pub references: Vec<Reference>,
    /// The types and traits it defines, with their lines.
    pub types: Vec<(String, usize)>,
    /// The functions it defines, methods apart.
    pub functions: BTreeSet<String>,
    /// The methods that are called in it, with their lines.
    pub methods: Vec<(String, usize)>,
    /// `impl Trait for Type`: the last segments of both, with the line.
    pub impls: Vec<(String, String, usize)>,
    /// `extern crate`s outside tests, with their lines.
    pub extern_crates: Vec<(String, usize)>,
    /// The modules declared in it.
    pub modules: Vec<Declared>,
}

/// Whether the attributes leave an item out of everything but tests.
fn only_in_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.meta.require_list().is_ok_and(|list| needs_test(&list.tokens))
    })
}

/// Whether `test` or `all(test, …)`; `not(test)` and `any(test, …)` can hold outside of tests.
fn needs_test(condition: &TokenStream) -> bool {
    let mut tokens = condition.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(word)), None) => word == "test",
        (Some(TokenTree::Ident(word)), Some(TokenTree::Group(group))) if word == "all" => {
            let mut part = TokenStream::new();
            let mut parts = Vec::new();
            for token in group.stream() {
                match &token {
                    TokenTree::Punct(punct) if punct.as_char() == ',' => {
                        parts.push(std::mem::take(&mut part));
                    }
                    _ => part.extend([token]),
                }
            }
            parts.push(part);
            parts.iter().any(needs_test)
        }
        _ => false,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// What the items of a file contain.
pub fn contents(items: &[Item]) -> Contents {
    let mut contents = Contents::default();
    for item in items {
        contents.visit_item(item);
    }
    contents
}

impl Contents {
    fn refer(&mut self, path: Vec<String>, line: usize) {
        self.references.push(Reference { path, line, import: false, reexport: false });
    }

    fn defines(&mut self, ident: &syn::Ident) {
        self.names.insert(ident.to_string(), Name::Item);
    }

    fn defines_type(&mut self, ident: &syn::Ident) {
        self.defines(ident);
        self.types.push((ident.to_string(), ident.span().start().line));
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String], reexport: bool) {
        let joined = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        let (path, name, ident) = match tree {
            UseTree::Path(path) => return self.import(&path.tree, &joined(&path.ident), reexport),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, prefix, reexport));
            }
            UseTree::Glob(glob) => {
                self.globs.push(prefix.to_vec());
                let line = glob.star_token.spans[0].start().line;
                let path = prefix.to_vec();
                return self.references.push(Reference { path, line, import: true, reexport });
            }
            UseTree::Name(name) if name.ident == "self" => {
                (prefix.to_vec(), prefix.last().cloned(), &name.ident)
            }
            UseTree::Name(name) => (joined(&name.ident), Some(name.ident.to_string()), &name.ident),
            UseTree::Rename(rename) if rename.ident == "self" => {
                (prefix.to_vec(), Some(rename.rename.to_string()), &rename.ident)
            }
            UseTree::Rename(rename) => {
                (joined(&rename.ident), Some(rename.rename.to_string()), &rename.ident)
            }
        };
        if let Some(name) = name.filter(|name| name != "_") {
            self.names.entry(name).or_insert_with(|| Name::Import(path.clone()));
        }
        self.references.push(Reference { path, line: ident.span().start().line, import: true, reexport });
    }

    /// Paths in the arguments of a macro or an attribute, which `syn` leaves as they are: names joined by `::`, and
    /// strings that are such paths (`#[serde(with = "…")]`).
    fn scan(&mut self, tokens: &TokenStream, strings: bool) {
        let tokens: Vec<_> = tokens.clone().into_iter().collect();
        let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(first) => {
                    let field =
                        at > 0 && matches!(&tokens[at - 1], TokenTree::Punct(p) if p.as_char() == '.');
                    let mut path = vec![first.to_string()];
                    while let (true, true, Some(TokenTree::Ident(next))) =
                        (colon(at + 1), colon(at + 2), tokens.get(at + 3))
                    {
                        path.push(next.to_string());
                        at += 3;
                    }
                    if !field {
                        self.refer(path, first.span().start().line);
                    }
                }
                TokenTree::Group(group) => self.scan(&group.stream(), strings),
                TokenTree::Literal(literal) if strings => {
                    let text = literal.to_string();
                    let path = text.trim_matches('"').split("::").map(str::to_owned).collect::<Vec<_>>();
                    let word = |part: &String| {
                        !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_')
                    };
                    if path.len() > 1 && path.iter().all(word) {
                        self.refer(path, literal.span().start().line);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn declare(&mut self, module: &syn::ItemMod, test: bool) {
        let name = module.ident.to_string();
        let path = module.attrs.iter().find(|a| a.path().is_ident("path")).and_then(|attribute| {
            match &attribute.meta.require_name_value().ok()?.value {
                syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
                _ => None,
            }
        });
        if !test {
            self.names.insert(name.clone(), Name::Child);
        }
        let inline = module.content.as_ref().map(|(_, items)| contents(items));
        self.modules.push(Declared { name, test, path, inline });
    }
}

impl<'ast> Visit<'ast> for Contents {
    fn visit_item(&mut self, item: &'ast Item) {
        let test = only_in_tests(attributes(item));
        if let Item::Mod(module) = item {
            return self.declare(module, test);
        }
        if test {
            return;
        }
        match item {
            Item::Use(item) => {
                return self.import(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
            }
            Item::ExternCrate(item) => {
                let line = item.ident.span().start().line;
                self.extern_crates.push((item.ident.to_string(), line));
                self.refer(vec![item.ident.to_string()], line);
            }
            Item::Struct(item) => self.defines_type(&item.ident),
            Item::Enum(item) => self.defines_type(&item.ident),
            Item::Union(item) => self.defines_type(&item.ident),
            Item::Trait(item) => self.defines_type(&item.ident),
            Item::Type(item) => self.defines_type(&item.ident),
            Item::Const(item) => self.defines(&item.ident),
            Item::Static(item) => self.defines(&item.ident),
            Item::Fn(item) => {
                self.defines(&item.sig.ident);
                self.functions.insert(item.sig.ident.to_string());
            }
            Item::Impl(item) => {
                if let (Some((of, _)), syn::Type::Path(to)) = (&item.trait_, &*item.self_ty)
                    && let (Some(of), Some(to)) = (of.segments.last(), to.path.segments.last())
                {
                    let line = of.ident.span().start().line;
                    self.impls.push((of.ident.to_string(), to.ident.to_string(), line));
                }
            }
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Fn(item) => &item.attrs[..],
            syn::ImplItem::Const(item) => &item.attrs,
            _ => &[],
        };
        if !only_in_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !only_in_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !only_in_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.methods.push((call.method.to_string(), call.method.span().start().line));
        visit::visit_expr_method_call(self, call);
    }

    /// `pub(in crate::publish)` says who may look, and refers to nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(first) = path.segments.first() {
            self.refer(segments, first.ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.scan(&call.tokens, false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        if let syn::Meta::List(list) = &attribute.meta {
            self.scan(&list.tokens, true);
        }
    }
}
