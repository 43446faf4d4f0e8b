//! Which module refers to which: paths resolved through imports and re-exports, and the cycles among them.

use std::collections::{BTreeMap, BTreeSet};

use crate::contents::Name;
use crate::source::{CRATES, Workspace};

/// What a path leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// Something of an outside crate.
    Outside(String),
    /// A module of the workspace, or an item that this module defines.
    Inside {
        /// The module.
        module: String,
        /// The item in it.
        item: Option<String>,
    },
}

/// A reference from one module to another module or to an outside crate.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The module that refers.
    pub from: String,
    /// What it refers to: the place of definition, whatever re-exports lie between.
    pub to: Target,
    /// The modules whose names the path goes through: those that re-export.
    pub via: Vec<String>,
    /// `file:line`.
    pub place: String,
    /// Whether it only passes a name on (`pub use`).
    pub reexport: bool,
}

/// The module around `module`.
pub fn parent(module: &str) -> Option<&str> {
    module.rsplit_once("::").map(|(parent, _)| parent)
}

/// Whether `module` is `ancestor` or lies in it.
pub fn within(module: &str, ancestor: &str) -> bool {
    module == ancestor || module.strip_prefix(ancestor).is_some_and(|rest| rest.starts_with("::"))
}

/// The longest chain of re-exports that is followed.
const DEPTH: usize = 16;

impl Workspace {
    /// Every reference of `module` that leaves it.
    pub fn edges_of(&self, from: &str) -> Vec<Edge> {
        let module = &self.modules[from];
        let mut edges = Vec::new();
        for reference in &module.contents.references {
            let mut via = Vec::new();
            let Some(to) = self.resolve(from, &reference.path, &mut via, 0) else { continue };
            match &to {
                Target::Inside { module, .. } if module == from => continue,
                // One word outside a `use` is a variable or an argument that is called like a module or a crate.
                Target::Inside { item: None, .. } if !reference.import && reference.path.len() == 1 => {
                    continue;
                }
                Target::Outside(name) if !reference.import && reference.path == [name.as_str()] => continue,
                _ => {}
            }
            via.retain(|module| module != from);
            let place = format!("{}:{}", module.file.display(), reference.line);
            edges.push(Edge { from: from.to_owned(), to, via, place, reexport: reference.reexport });
        }
        edges
    }

    /// Every reference in the workspace.
    pub fn edges(&self) -> Vec<Edge> {
        self.modules.keys().flat_map(|module| self.edges_of(module)).collect()
    }

    /// Where `path`, written in `module`, leads. `None`: to nothing that a rule speaks of (a local name, the standard
    /// library).
    pub fn resolve(
        &self,
        module: &str,
        path: &[String],
        via: &mut Vec<String>,
        depth: usize,
    ) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let root = |name: &str| CRATES.iter().find(|(c, _)| *c == name && *c != "main").map(|(c, _)| *c);
        match first.as_str() {
            "crate" | "$crate" => self.walk(module.split("::").next()?, rest, via, depth),
            "self" => self.walk(module, rest, via, depth),
            "super" => self.walk(parent(module)?, rest, via, depth),
            name => self.look_up(module, name, rest, via, depth).or_else(|| match root(name) {
                Some(root) => self.walk(root, rest, via, depth),
                None if self.outside.contains(name) => Some(Target::Outside(name.to_owned())),
                None => None,
            }),
        }
    }

    fn walk(&self, module: &str, rest: &[String], via: &mut Vec<String>, depth: usize) -> Option<Target> {
        self.modules.get(module)?;
        match rest.split_first() {
            None => Some(Target::Inside { module: module.to_owned(), item: None }),
            Some((first, rest)) if first == "super" => self.walk(parent(module)?, rest, via, depth),
            Some((first, rest)) => {
                via.push(module.to_owned());
                // What cannot be found (a macro, say) still belongs to the module it was looked for in.
                self.look_up(module, first, rest, via, depth)
                    .or_else(|| Some(Target::Inside { module: module.to_owned(), item: Some(first.clone()) }))
            }
        }
    }

    fn look_up(
        &self,
        module: &str,
        name: &str,
        rest: &[String],
        via: &mut Vec<String>,
        depth: usize,
    ) -> Option<Target> {
        let contents = &self.modules.get(module)?.contents;
        match contents.names.get(name) {
            _ if depth > DEPTH => None,
            Some(Name::Item) => {
                Some(Target::Inside { module: module.to_owned(), item: Some(name.to_owned()) })
            }
            Some(Name::Child) => self.walk(&format!("{module}::{name}"), rest, via, depth + 1),
            // `use image;` names itself.
            Some(Name::Import(path)) if path.len() == 1 && path[0] == name => None,
            Some(Name::Import(path)) => self.resolve(module, &[path, rest].concat(), via, depth + 1),
            None => contents.globs.iter().find_map(|glob| {
                let mut through = Vec::new();
                let Target::Inside { module: from, item: None } =
                    self.resolve(module, glob, &mut through, depth + 1)?
                else {
                    return None;
                };
                let found = (from != module)
                    .then(|| self.look_up(&from, name, rest, &mut through, depth + 1))
                    .flatten()?;
                via.append(&mut through);
                via.push(from);
                Some(found)
            }),
        }
    }
}

/// Modules that reach each other, and the places of the references among them by `(from, to)`.
pub type Cycle = (BTreeSet<String>, BTreeMap<(String, String), String>);

/// The groups of modules that reach each other along `edges`: a module, the one it names, and the place.
pub fn cycles(edges: &[(String, String, String)]) -> Vec<Cycle> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to, _) in edges {
        next.entry(from).or_default().insert(to);
    }
    let reach = |start: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start.to_owned()]);
        while let Some(module) = open.pop() {
            for &to in next.get(module.as_str()).into_iter().flatten() {
                if seen.insert(to.to_owned()) {
                    open.push(to.to_owned());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<String>> = next.keys().map(|&from| (from, reach(from))).collect();
    let mut groups = BTreeSet::new();
    for (from, seen) in &reached {
        if seen.contains(*from) {
            let back = |to: &&String| reached.get(to.as_str()).is_some_and(|seen| seen.contains(*from));
            groups.insert(seen.iter().filter(back).cloned().collect::<BTreeSet<_>>());
        }
    }
    let inner = |group: BTreeSet<String>| {
        let inside = edges.iter().filter(|(from, to, _)| group.contains(from) && group.contains(to));
        let mut places = BTreeMap::new();
        for (from, to, place) in inside {
            places.entry((from.clone(), to.clone())).or_insert_with(|| place.clone());
        }
        (group, places)
    };
    groups.into_iter().map(inner).collect()
}
