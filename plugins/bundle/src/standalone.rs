//! Makes a manifest independent of its workspace: inherited values are written out.
//!
//! The SDK needs it, because `plugin new` copies it to plugins elsewhere. Used by the build script
//! and the tests.

use toml::{Table, Value};

/// The tables of dependencies that are kept, of a manifest or of one of its targets.
const DEPENDENCIES: [&str; 2] = ["dependencies", "build-dependencies"];

/// Returns the manifest `member` without its workspace `root`. Lints, tests and their dependencies
/// are dropped.
///
/// # Errors
/// Names the value that cannot be written out, with the reason.
pub fn manifest(root: &Table, member: &Table) -> Result<Table, String> {
    let workspace = root
        .get("workspace")
        .and_then(Value::as_table)
        .ok_or("the root has no [workspace]")?;
    let shared = |name: &str| {
        workspace
            .get(name)
            .and_then(Value::as_table)
            .cloned()
            .unwrap_or_default()
    };
    let package = shared("package");
    let dependencies = shared("dependencies");
    let mut alone = member.clone();
    for dropped in ["dev-dependencies", "lints", "bench", "example", "test"] {
        alone.remove(dropped);
    }
    for (name, value) in table_of(&mut alone, "package").into_iter().flatten() {
        if inherits(value) {
            *value = package
                .get(name)
                .cloned()
                .ok_or_else(|| format!("[workspace.package] has no `{name}`"))?;
        }
    }
    write_out(&mut alone, &dependencies)?;
    for (_, target) in table_of(&mut alone, "target").into_iter().flatten() {
        if let Some(target) = target.as_table_mut() {
            target.remove("dev-dependencies");
            write_out(target, &dependencies)?;
        }
    }
    Ok(alone)
}

fn write_out(tables: &mut Table, shared: &Table) -> Result<(), String> {
    for kind in DEPENDENCIES {
        for (name, value) in table_of(tables, kind).into_iter().flatten() {
            if inherits(value) {
                let shared = shared
                    .get(name)
                    .ok_or_else(|| format!("[workspace.dependencies] has no `{name}`"))?;
                *value = joined(shared, value);
            }
            if value.get("path").is_some() {
                return Err(format!(
                    "`{name}` is a path, which leads nowhere from elsewhere"
                ));
            }
        }
    }
    Ok(())
}

/// Joins the workspace's entry of a dependency with the member's own. Features of both count.
fn joined(shared: &Value, own: &Value) -> Value {
    let mut all = match shared {
        Value::Table(shared) => shared.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    };
    for (key, value) in own
        .as_table()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != "workspace")
    {
        match (all.get_mut(key), value) {
            (Some(Value::Array(features)), Value::Array(more)) => {
                features.extend(more.iter().cloned())
            }
            _ => drop(all.insert(key.clone(), value.clone())),
        }
    }
    Value::Table(all)
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

fn table_of<'t>(table: &'t mut Table, key: &str) -> Option<&'t mut Table> {
    table.get_mut(key).and_then(Value::as_table_mut)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = r#"
        [workspace.package]
        version = "1.2.3"
        [workspace.dependencies]
        plain = "1"
        lean = { version = "2", default-features = false, features = ["std"] }
        near = { path = "near" }
    "#;

    fn alone(member: &str) -> Result<Table, String> {
        manifest(&ROOT.parse().unwrap(), &member.parse().unwrap())
    }

    #[test]
    fn inherited_values_are_written_out_and_tests_dropped() {
        let member = r#"
            [package]
            name = "sdk"
            version.workspace = true
            [features]
            more = ["dep:lean"]
            [dependencies]
            plain.workspace = true
            lean = { workspace = true, optional = true, features = ["alloc"] }
            own = "3"
            [target.'cfg(unix)'.dependencies]
            plain.workspace = true
            [target.'cfg(unix)'.dev-dependencies]
            near.workspace = true
            [dev-dependencies]
            near.workspace = true
            [lints]
            workspace = true
        "#;
        let expected = r#"
            [package]
            name = "sdk"
            version = "1.2.3"
            [features]
            more = ["dep:lean"]
            [dependencies]
            plain = { version = "1" }
            lean = { version = "2", default-features = false, features = ["std", "alloc"], optional = true }
            own = "3"
            [target.'cfg(unix)'.dependencies]
            plain = { version = "1" }
        "#;
        assert_eq!(alone(member), Ok(expected.parse().unwrap()));
    }

    #[test]
    fn value_that_cannot_stand_alone_is_named() {
        let said = |member: &str| alone(member).unwrap_err();
        assert!(said("[dependencies]\nnear.workspace = true").contains("`near` is a path"));
        assert!(said("[dependencies]\nlost.workspace = true").contains("no `lost`"));
        assert!(said("[package]\nhomepage.workspace = true").contains("no `homepage`"));
    }
}
