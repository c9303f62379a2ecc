//! Commands that talk to a running server, and how they reach it. They hold no state and no rule:
//! what is right or wrong is the server's word, rendered for a human.

pub(crate) mod catalog;
pub(crate) mod consent;
pub(crate) mod context;
pub(crate) mod dead;
pub(crate) mod decide;
pub(crate) mod export;
pub(crate) mod fact;
pub(crate) mod ingest;
pub(crate) mod link;
pub(crate) mod model;
pub(crate) mod privacy;
pub(crate) mod registry;

mod file;
mod progress;
pub(crate) mod rows;
pub(crate) mod status;

use std::{process::ExitCode, time::Duration};

use anyhow::{Result, anyhow};
use tonic::transport::{Channel, Endpoint};

use crate::{
    cli::Global,
    output::{self, Render, Usage},
};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to the server that the command line names.
async fn connect(global: &Global) -> Result<Channel> {
    let address = address(&global.server)?;
    let wrong =
        |_| Usage(format!("`{}` is no address of a server; write it like http://127.0.0.1:7411", global.server));
    let endpoint = Endpoint::from_shared(address.clone()).map_err(wrong)?;
    let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true);
    endpoint.connect().await.map_err(|error| anyhow!(status::unreachable(&address, &error)))
}

/// The address with its scheme, which may be left out.
fn address(server: &str) -> Result<String, Usage> {
    match server.split_once("://") {
        None => Ok(format!("http://{server}")),
        Some(("http", _)) => Ok(server.into()),
        Some((scheme, _)) => Err(Usage(format!("`{server}`: {scheme} is not spoken here; write http://HOST:PORT"))),
    }
}

/// Prints a result; the command is done.
fn done(global: &Global, result: &impl Render) -> Result<ExitCode> {
    output::show(global.json, result)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_may_be_left_out_and_no_other_is_spoken() {
        assert_eq!(address("127.0.0.1:7411").unwrap(), "http://127.0.0.1:7411");
        assert_eq!(address("http://other:1").unwrap(), "http://other:1");
        assert!(address("https://other:1").unwrap_err().0.contains("https is not spoken here"));
    }
}
