//! The call that is measured, kept apart from how it is scheduled.

use std::future::Future;

use tonic::Code;

/// A unary call on one connection. Clones share the connection, so that many can be in flight.
pub trait Call: Clone + 'static {
    /// Sends request number `index` of the run and waits for the answer.
    ///
    /// # Errors
    /// The gRPC code that the server or the transport gave.
    fn call(&mut self, index: u64) -> impl Future<Output = Result<(), Code>> + 'static;
}
