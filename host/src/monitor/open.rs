//! Open internal alerts: where each stands.

use std::collections::BTreeMap;

use plugin_sdk::contract::Status;

use crate::alert::internal::Topic;
use crate::store::Told;

/// The internal alerts that the store has as open.
#[derive(Debug, Default)]
pub struct Open {
    /// The destination of each, by its key.
    places: BTreeMap<String, String>,
}

impl Open {
    /// Returns the alerts that the store remembers.
    pub fn new(told: Vec<Told>) -> Self {
        let places = told.into_iter().map(|told| (told.key, told.destination));
        Self {
            places: places.collect(),
        }
    }

    /// Returns the destination of an open alert.
    pub fn place(&self, key: &str) -> Option<&str> {
        self.places.get(key).map(String::as_str)
    }

    /// Returns each key with its destination.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let places = self.places.iter();
        places.map(|(key, place)| (key.as_str(), place.as_str()))
    }

    /// Returns the names of all that an open alert on `topic` is about.
    pub fn about(&self, topic: Topic) -> impl Iterator<Item = &str> {
        self.places.keys().filter_map(move |key| topic.name_in(key))
    }

    /// Notes that the store has opened or resolved an alert.
    pub fn note(&mut self, key: String, status: Status, destination: &str) {
        match status {
            Status::Trigger => self.places.insert(key, destination.to_owned()),
            Status::Resolve => self.places.remove(&key),
        };
    }

    /// Notes that the store has forgotten an alert.
    pub fn forget(&mut self, key: &str) {
        self.places.remove(key);
    }
}
