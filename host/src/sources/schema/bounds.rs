//! Bounds on a schema's size: it comes from a plugin, and is evaluated outside the sandbox, without
//! a time limit.
//!
//! References multiply: forty definitions with two references each to the next one are 2^40 places.
//! So the schema is walked once, reference by reference, as far as settings could lead. A long or
//! circular walk is refused.

use serde_json::Value as Json;

/// The most places of a schema. The largest of the bundled plugins has some hundred.
const MOST_PLACES: usize = 5000;
/// The deepest nesting of places, references followed.
const DEEPEST: usize = 256;

/// Keywords with one schema for a nested setting or an item.
const WITHIN: [&str; 8] = [
    "additionalProperties",
    "propertyNames",
    "items",
    "prefixItems",
    "contains",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
/// Keywords with schemas under names of the author's choice.
const NAMED_WITHIN: [&str; 2] = ["properties", "patternProperties"];
const NAMED: [&str; 2] = ["dependentSchemas", "dependencies"];
/// Keywords without a schema, or with one that only a reference reaches.
const ASIDE: [&str; 6] = [
    "$defs",
    "definitions",
    "enum",
    "const",
    "default",
    "examples",
];

/// Refuses a schema that is too large, too deep or circular.
pub fn check(schema: &Json) -> Result<(), String> {
    Walk {
        root: schema,
        places: 0,
        references: Vec::new(),
    }
    .follow(schema, 0, 0)
}

struct Walk<'s> {
    root: &'s Json,
    places: usize,
    /// The references that led here, and how many settings deep each was met.
    references: Vec<(&'s str, usize)>,
}

impl<'s> Walk<'s> {
    /// `within` counts the settings around this place, `depth` all that is around it.
    fn follow(&mut self, schema: &'s Json, within: usize, depth: usize) -> Result<(), String> {
        self.places += 1;
        if self.places > MOST_PLACES || depth > DEEPEST {
            return Err(format!(
                "its references come to more than {MOST_PLACES} places, or to more than {DEEPEST} within each other: \
                 name each definition fewer times"
            ));
        }
        let depth = depth + 1;
        match schema {
            Json::Array(all) => all
                .iter()
                .try_for_each(|one| self.follow(one, within, depth)),
            Json::Object(keywords) => {
                keywords
                    .iter()
                    .try_for_each(|(keyword, value)| match keyword.as_str() {
                        "$ref" | "$dynamicRef" | "$recursiveRef" => {
                            self.refer(value, within, depth)
                        }
                        "$id" if depth > 1 => Err(
                            "a part of it has an `$id` of its own: refer to parts by `#/…`"
                                .to_owned(),
                        ),
                        keyword if ASIDE.contains(&keyword) => Ok(()),
                        keyword if WITHIN.contains(&keyword) => {
                            self.follow(value, within + 1, depth)
                        }
                        keyword if NAMED_WITHIN.contains(&keyword) => {
                            self.named(value, within + 1, depth)
                        }
                        keyword if NAMED.contains(&keyword) => self.named(value, within, depth),
                        _ => self.follow(value, within, depth),
                    })
            }
            _ => Ok(()),
        }
    }

    fn named(&mut self, schemas: &'s Json, within: usize, depth: usize) -> Result<(), String> {
        let mut schemas = schemas
            .as_object()
            .into_iter()
            .flat_map(|schemas| schemas.values());
        schemas.try_for_each(|schema| self.follow(schema, within, depth))
    }

    fn refer(&mut self, reference: &'s Json, within: usize, depth: usize) -> Result<(), String> {
        let Some(name) = reference.as_str() else {
            return Ok(());
        };
        match self.references.iter().rfind(|(known, _)| *known == name) {
            Some((_, before)) if *before == within => {
                return Err(format!(
                    "the reference `{name}` leads back to itself without a setting between"
                ));
            }
            // It goes on as deep as the settings do.
            Some(_) => return Ok(()),
            None => {}
        }
        let target = name
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        let target = target.ok_or_else(|| {
            format!("the reference `{name}` cannot be followed: refer to parts by `#/…`")
        })?;
        self.references.push((name, within));
        self.follow(target, within, depth)?;
        self.references.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_whose_references_multiply_is_refused() {
        let mut definitions = json!({ "d40": false });
        for number in 0..40 {
            let next = json!({ "$ref": format!("#/$defs/d{}", number + 1) });
            definitions[format!("d{number}")] = json!({ "allOf": [next, next] });
        }
        let bomb = json!({ "$ref": "#/$defs/d0", "$defs": definitions });
        assert!(check(&bomb).unwrap_err().contains("more than 5000 places"));
        let bomb = json!({ "properties": { "a": { "items": { "$ref": "#/$defs/d0" } } }, "$defs": definitions });
        assert!(check(&bomb).is_err());
        assert!(
            check(&json!({ "$defs": definitions })).is_ok(),
            "nothing leads there"
        );
    }

    #[test]
    fn circular_references_are_refused_unless_settings_recurse() {
        for circle in [
            json!({ "$ref": "#" }),
            json!({ "not": { "$ref": "#" } }),
            json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" }),
            json!({ "properties": { "a": { "anyOf": [{ "$ref": "#/properties/a" }] } } }),
        ] {
            assert!(
                check(&circle).unwrap_err().contains("leads back to itself"),
                "{circle}"
            );
        }
        for endless in [
            json!({ "properties": { "a": { "$ref": "#" }, "$ref": { "items": { "$ref": "#" } } } }),
            json!({ "additionalProperties": { "anyOf": [{ "$ref": "#" }, { "type": "string" }] } }),
        ] {
            assert_eq!(check(&endless), Ok(()), "{endless}");
        }
    }

    #[test]
    fn a_reference_that_this_walk_does_not_see_through_is_refused() {
        for reference in ["#anchor", "https://example.com/schema", "#/$defs/absent"] {
            assert!(
                check(&json!({ "$ref": reference }))
                    .unwrap_err()
                    .contains("cannot be followed"),
                "{reference}"
            );
        }
        let other =
            json!({ "allOf": [{ "$id": "x", "$ref": "#/$defs/a" }], "$defs": { "a": true } });
        assert!(check(&other).unwrap_err().contains("`$id`"));
    }
}
