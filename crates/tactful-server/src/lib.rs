//! The gRPC and HTTP front: conversion, status mapping, admission, telemetry, drain.
//!
//! It decides nothing: every answer comes from the engine.

mod admission;
mod catalog;
mod convert;
mod customer;
mod decision;
mod event;
mod http;
mod incoming;
mod model;
mod options;
mod reply;
mod serve;
mod status;
pub mod telemetry;

pub use options::Options;
pub use serve::{Addresses, Server, StartError};
