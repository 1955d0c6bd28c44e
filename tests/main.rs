//! The whole system: the real program as a process of its own, with a scripted ITOC360 on one side
//! and senders on the other. [`harness`] is the vocabulary; every other module is a promise, told
//! as tests.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]
#![allow(
    clippy::disallowed_methods,
    reason = "a peer of the program has the machine's clock"
)]

mod admin_api;
mod alertmanager;
mod author;
mod browser;
mod catalogue;
mod checking;
mod clients;
mod clock;
mod code;
mod commands;
mod contract;
mod crashes;
mod destinations;
mod disk;
mod drills;
mod exporting;
mod fallback;
mod fetching;
mod github_payloads;
mod grouping;
mod guide;
mod harness;
mod health;
mod heartbeat;
mod hostile_http;
mod hostile_plugins;
mod init;
mod javascript;
mod languages;
mod listeners;
mod logs;
mod mail;
mod main_job;
mod monitor;
mod monitoring;
mod mutations;
mod online;
mod order;
mod original;
mod other_language;
mod outages;
mod overload;
mod pages;
mod pings;
mod plugin_commands;
mod programs;
mod prose;
mod proxies;
mod reload;
mod remote;
mod repeats;
mod replayed;
mod replaying;
mod requests;
mod rules;
mod schema;
mod secrecy;
mod several;
mod sharing;
mod signatures;
mod spool;
mod store_file;
mod strangers;
mod tidy;
mod traces;
mod trying;
mod ways;
mod web;
mod webhook;
