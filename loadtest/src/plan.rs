//! What to do to whom: the target, the shape of the load, and how long.

use std::{
    net::{IpAddr, ToSocketAddrs},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tonic::transport::{Endpoint, Uri};

/// A server to load.
#[derive(Clone, Debug)]
pub struct Target(Endpoint);

impl Target {
    /// Reads `http://host:port`. Hosts that are not this machine are refused unless allowed: load on
    /// somebody else's server must be meant.
    ///
    /// # Errors
    /// No http address with a port, an unknown host, or one that is not allowed.
    pub fn parse(url: &str, allow_remote: bool) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("\"{url}\" is no address"))?;
        let (Some("http"), Some(host), Some(port)) = (uri.scheme_str(), uri.host(), uri.port_u16()) else {
            anyhow::bail!("\"{url}\" is not of the form http://host:port");
        };
        if !allow_remote {
            ensure!(is_loopback(host, port)?, "{host} is not this machine: --allow-remote if it is meant");
        }
        let endpoint = Endpoint::from(uri).tcp_nodelay(true).connect_timeout(Duration::from_secs(5));
        Ok(Self(endpoint))
    }

    /// How to connect to it.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0
    }
}

fn is_loopback(host: &str, port: u16) -> Result<bool> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.is_loopback());
    }
    let mut addresses = (bare, port).to_socket_addrs().with_context(|| format!("cannot resolve {bare}"))?;
    Ok(addresses.all(|address| address.ip().is_loopback()))
}

/// The shape of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// Requests are due at fixed moments, whatever becomes of the earlier ones.
    Open {
        /// Requests per second over all connections, above 0.
        rate: f64,
        /// Most requests in flight on one thread. At the bound requests wait, and their waiting counts.
        in_flight_max: usize,
    },
    /// Each stream sends its next request when it has the answer: finds the peak rate, hides stalls.
    Closed {
        /// Requests in flight on each connection.
        streams: usize,
    },
}

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to load.
    pub target: Target,
    /// The shape of the load.
    pub load: Load,
    /// Connections, at least 1.
    pub connections: usize,
    /// OS threads with a runtime each, at least 1 and at most the connections. In an open loop each
    /// wants a core of its own: pacing to the microsecond means that it does not sleep.
    pub threads: usize,
    /// Sent before measuring starts.
    pub warm_up: Duration,
    /// Measured.
    pub duration: Duration,
    /// After this time without an answer a request counts as unfinished.
    pub timeout: Duration,
    /// Process whose CPU time is read before and after.
    pub server_pid: Option<u32>,
}

impl Plan {
    /// Refuses what cannot be run.
    ///
    /// # Errors
    /// Names the value.
    pub fn check(&self) -> Result<()> {
        ensure!((1..=1_024).contains(&self.connections), "connections {} is not 1 to 1024", self.connections);
        ensure!(
            (1..=self.connections).contains(&self.threads),
            "threads {} is not 1 to the {} connections",
            self.threads,
            self.connections
        );
        ensure!(!self.duration.is_zero(), "a run of 0 seconds measures nothing");
        ensure!(!self.timeout.is_zero(), "a timeout of 0 seconds finishes nothing");
        match self.load {
            Load::Open { rate, in_flight_max } => {
                ensure!((0.1..=10_000_000.0).contains(&rate), "rate {rate} is not 0.1 to 10000000 a second");
                ensure!((1..=1_000_000).contains(&in_flight_max), "in flight {in_flight_max} is not 1 to 1000000");
            }
            Load::Closed { streams } => ensure!((1..=4_096).contains(&streams), "streams {streams} is not 1 to 4096"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_unless_allowed() {
        for fine in ["http://127.0.0.1:50051", "http://[::1]:1", "http://localhost:7"] {
            assert!(Target::parse(fine, false).is_ok(), "{fine}");
        }
        let refused = Target::parse("http://192.0.2.1:50051", false).unwrap_err().to_string();
        assert!(refused.contains("192.0.2.1") && refused.contains("--allow-remote"), "{refused}");
        assert!(Target::parse("http://192.0.2.1:50051", true).is_ok());
    }

    #[test]
    fn an_address_needs_scheme_host_and_port() {
        for bad in ["127.0.0.1:50051", "http://127.0.0.1", "https://127.0.0.1:1", "nonsense url", ""] {
            assert!(Target::parse(bad, true).is_err(), "{bad}");
        }
    }

    #[test]
    fn plans_that_cannot_run_are_refused_by_name() {
        let plan = Plan {
            target: Target::parse("http://127.0.0.1:1", false).unwrap(),
            load: Load::Open { rate: 100.0, in_flight_max: 10 },
            connections: 2,
            threads: 1,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            server_pid: None,
        };
        assert!(plan.check().is_ok());
        for (broken, word) in [
            (Plan { connections: 0, ..plan.clone() }, "connections"),
            (Plan { threads: 3, ..plan.clone() }, "threads"),
            (Plan { duration: Duration::ZERO, ..plan.clone() }, "0 seconds"),
            (Plan { load: Load::Open { rate: f64::NAN, in_flight_max: 1 }, ..plan.clone() }, "rate"),
            (Plan { load: Load::Open { rate: 1.0, in_flight_max: 0 }, ..plan.clone() }, "in flight"),
            (Plan { load: Load::Closed { streams: 0 }, ..plan }, "streams"),
        ] {
            let reason = broken.check().unwrap_err().to_string();
            assert!(reason.contains(word), "{reason}");
        }
    }
}
