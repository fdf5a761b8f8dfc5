//! Keeps the layer drawing true: imports go down only, siblings never import each other, and
//! `cfg(loom)` and `libc` stay where `sys` promises to keep them.

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up; the names in one row are siblings.
const LAYERS: [&[&str]; 6] = [
    &["sys"],
    &["lockfree"],
    &["support"],
    &["store"],
    &["exec"],
    &["cache", "cpu", "io", "memory", "process", "threads"],
];

#[test]
fn the_source_keeps_the_drawing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root);
    assert!(files.len() > 20, "only {} source files were found", files.len());
    let found: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(&root).expect("found below the root");
            violations(name, &fs::read_to_string(path).expect("source is readable"))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_planted_import_is_found_in_every_form() {
    let planted = [
        ("lockfree/ring.rs", "use crate::cache::Cache;"),
        ("lockfree/ring.rs", "    let clock = crate::support::clock::Clock::default();"),
        ("sys/sync.rs", "use crate::{lockfree::Ring, sys::futex};"),
        ("sys/sync.rs", "use crate::{\n    sys::futex,\n    lockfree::Ring,\n};"),
        ("cache/mod.rs", "use crate::cpu::Balancer;"),
        ("cache/mod.rs", "use super::cpu::Balancer;"),
        ("cache/shard.rs", "use super::super::memory::Pool;"),
        ("lockfree/ring.rs", "#[cfg(loom)]"),
        ("lockfree/ring.rs", "#[cfg(all(test, not(loom)))]"),
        ("support/clock.rs", "let page = libc::PAGE_SIZE;"),
    ];
    for (name, line) in planted {
        let found = violations(Path::new(name), line);
        assert_eq!(found.len(), 1, "{name}: {line}: {found:?}");
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    let allowed = [
        ("lockfree/ring.rs", "use crate::sys::sync::atomic::AtomicUsize;"),
        ("lockfree/ring.rs", "use super::backoff::Backoff;"),
        ("cache/mod.rs", "use crate::{lockfree::Ring, support::clock::Clock};"),
        ("cache/shard/slot.rs", "use super::super::policy::Policy;"),
        (
            "lockfree/ring.rs",
            "//! Unlike crate::cache, this is small; see cfg(loom) and libc::write.",
        ),
        ("sys/sync.rs", "#[cfg(loom)]"),
        ("sys/futex/linux.rs", "libc::syscall(libc::SYS_futex)"),
    ];
    for (name, line) in allowed {
        assert_eq!(violations(Path::new(name), line), Vec::<String>::new());
    }
}

/// What is wrong in the file `name` (relative to `src`) with this text.
fn violations(name: &Path, text: &str) -> Vec<String> {
    let code: String = text.lines().map(without_comment).collect::<Vec<_>>().join("\n");
    let modules = module_path(name);
    let mut found = Vec::new();
    if let Some(own) = modules.first().filter(|own| rank(own).is_some()) {
        let bad = imports(&code, &modules).into_iter().filter(|import| !may_import(own, import));
        found.extend(bad.map(|import| format!("{}: imports {import}", name.display())));
    }
    if mentions_loom(&code) && !["sys/sync.rs", "lib.rs"].iter().any(|home| name == Path::new(home))
    {
        found.push(format!("{}: has a cfg(loom)", name.display()));
    }
    if code.contains("libc::") && modules.first().is_none_or(|own| own != "sys") {
        found.push(format!("{}: calls libc", name.display()));
    }
    found
}

fn may_import(own: &str, import: &str) -> bool {
    own == import || rank(import) < rank(own)
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// The top-level modules that `code`, in module `modules`, names by `crate::` or `super::`.
fn imports(code: &str, modules: &[String]) -> Vec<String> {
    let mut heads = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        heads.extend(first_names(&code[at + "crate::".len()..]));
    }
    let to_root = "super::".repeat(modules.len());
    for (at, _) in code.match_indices(&to_root) {
        let is_start = !code[..at].ends_with("super::");
        heads.extend(first_names(&code[at + to_root.len()..]).into_iter().filter(|_| is_start));
    }
    heads.retain(|head| rank(head).is_some());
    heads
}

/// `a` of `a::b`, or `a` and `c` of `{a::b, c::{d, e}}`.
fn first_names(path: &str) -> Vec<String> {
    let ident = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![ident(path)];
    };
    let (mut depth, mut names) = (1, vec![ident(group)]);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(ident(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn mentions_loom(code: &str) -> bool {
    code.lines().any(|line| line.contains("cfg") && line.contains("loom") && !line.contains('"'))
}

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

/// `[a, b]` for `a/b.rs` and `a/b/mod.rs`.
fn module_path(name: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        name.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    parts.pop_if(|last| last == "mod" || last == "lib");
    parts
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the source") {
        let path = entry.expect("an entry of the source").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
