//! The place of the configuration file: named on the command line, in the environment, or one of
//! two usual places.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::config::Config;
use crate::store::Location;

/// The usual places, in the order in which they are looked at.
const USUAL: [&str; 2] = ["gateway.toml", "/etc/alert-gateway/gateway.toml"];

/// The configuration file.
#[derive(Debug, Clone, Args)]
pub struct ConfigFile {
    /// The configuration file [default: gateway.toml here, else /etc/alert-gateway/gateway.toml]
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "ALERT_GATEWAY_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// Returns the file's path.
    ///
    /// # Errors
    /// The places that were looked at, where none was named and there is none.
    pub fn path(&self) -> Result<PathBuf, Failure> {
        // A variable that is set to nothing names nothing.
        if let Some(path) = self
            .config
            .as_ref()
            .filter(|path| !path.as_os_str().is_empty())
        {
            return Ok(path.clone());
        }
        // One that is there and cannot be read is the one that is meant.
        let found = USUAL
            .map(Path::new)
            .into_iter()
            .find(|path| path.symlink_metadata().is_ok());
        found.map(Path::to_owned).ok_or_else(|| {
            Failure::Usage(format!(
                "there is no configuration: neither {} in this folder nor {} is there; name one with --config FILE or \
                 ALERT_GATEWAY_CONFIG",
                USUAL[0], USUAL[1]
            ))
        })
    }

    /// Reads the file.
    ///
    /// # Errors
    /// All its problems.
    pub fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.path()?)?)
    }

    /// Returns the place of the store that the file names.
    ///
    /// # Errors
    /// The problems of its tables `[gateway]` and `[store]`.
    pub fn store(&self) -> Result<Location, Failure> {
        let path = self.path()?;
        let data_dir = Config::data_dir(&path)?;
        let store = Config::store(&path)?;
        Ok(Location::new(&data_dir, &store, String::new())?)
    }

    /// Returns the data directory that the file names.
    ///
    /// # Errors
    /// The problems of its table `[gateway]`.
    pub fn data_dir(&self) -> Result<PathBuf, Failure> {
        Ok(Config::data_dir(&self.path()?)?)
    }
}
