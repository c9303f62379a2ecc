//! Compiles the protos without protoc and keeps the descriptor set for reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;
use prost_types::FileDescriptorSet;

const PROTOS: [&str; 8] = [
    "tactful/v1/types.proto",
    "tactful/v1/decision_service.proto",
    "tactful/v1/event_service.proto",
    "tactful/v1/customer_service.proto",
    "tactful/v1/model_service.proto",
    "tactful/v1/catalog_service.proto",
    "tactful/storage/v1/record.proto",
    "tactful/artifact/v1/artifact.proto",
];
/// Replies that the server writes in their encoded form, most of it from pieces encoded beforehand.
const WRITTEN: [&str; 2] = [".tactful.v1.DecideResponse", ".tactful.v1.BatchDecideResponse"];
/// Their type in the server's code.
const ENCODED: (&str, &str) = (".tactful.v1.Encoded", "crate::Encoded");

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let files = PROTOS.iter().map(|proto| root.join(proto));
    let descriptors = protox::compile(files, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("tactful.binpb"), descriptors.encode_to_vec())?;
    let grpc = env::var_os("CARGO_FEATURE_GRPC").is_some();
    let messages = tonic_prost_build::configure().build_client(grpc).build_server(false).btree_map(".");
    messages.compile_fds(descriptors.clone())?;
    if grpc {
        compile_services(descriptors, out.join("server"))?;
    }
    Ok(())
}

/// The services' side of the server, over the messages that are compiled already.
fn compile_services(mut descriptors: FileDescriptorSet, out: PathBuf) -> Result<(), Box<dyn Error>> {
    let services = descriptors.file.iter_mut().flat_map(|file| &mut file.service);
    for method in services.flat_map(|service| &mut service.method) {
        if WRITTEN.contains(&method.output_type()) {
            method.output_type = Some(ENCODED.0.into());
        }
    }
    fs::create_dir_all(&out)?;
    let services = tonic_prost_build::configure().build_client(false).out_dir(out);
    services.extern_path(ENCODED.0, ENCODED.1).extern_path(".tactful", "crate::tactful").compile_fds(descriptors)?;
    Ok(())
}
