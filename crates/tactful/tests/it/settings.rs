//! Settings of `serve`: file, environment, options, in this order, each problem at its place.

use super::{
    assert_told, done, failed,
    process::Call,
    server::{Home, Setup},
};

const FILE: &str = "\
partitions = 4

[server]
drain_ms_max = 1234
requests_max = 7
http_listen = \"127.0.0.1:1111\"

[engine]
replies_max = 99
";

#[test]
fn each_layer_wins_over_the_one_before_and_is_named() {
    let home = Home::new();
    let file = home.file("tactful.toml", FILE);
    let args = ["serve", "--config", &file, "--print-config", "--http-listen", "127.0.0.1:3333"];
    let call = Call::new(&args)
        .env("TACTFUL__SERVER__REQUESTS_MAX", "8")
        .env("TACTFUL__SERVER__HTTP_LISTEN", "127.0.0.1:2222")
        .env("TACTFUL__CATALOG", "12");
    let printed = done(&call.output());
    assert_told(
        &printed,
        &[
            "partitions = 4  # file, line 1",
            "drain_ms_max = 1234  # file, line 4",
            "replies_max = 99  # file, line 9",
            "requests_max = 8  # environment, TACTFUL__SERVER__REQUESTS_MAX",
            "catalog = \"12\"  # environment, TACTFUL__CATALOG",
            "http_listen = \"127.0.0.1:3333\"  # option",
            "grpc_listen = \"127.0.0.1:7411\"  # default",
        ],
    );
    // What is printed is itself a file of settings, and says the same.
    let again = home.file("again.toml", &printed);
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split("  # ").next().unwrap_or(line).to_owned()).collect()
    };
    let reprinted = done(&Call::new(&["serve", "--config", &again, "--print-config"]).output());
    assert_eq!(values(&reprinted), values(&printed));
}

#[test]
fn a_server_listens_only_to_this_machine_unless_told_otherwise() {
    let printed = done(&Call::new(&["serve", "--print-config"]).output());
    assert_told(
        &printed,
        &["grpc_listen = \"127.0.0.1:7411\"  # default", "http_listen = \"127.0.0.1:7412\"  # default"],
    );
    let open = Call::new(&["serve", "--print-config"]).env("TACTFUL__SERVER__GRPC_LISTEN", "0.0.0.0:1");
    assert_told(&done(&open.output()), &["grpc_listen = \"0.0.0.0:1\"  # environment"]);
}

#[test]
fn wrong_settings_name_their_place_and_the_nearest_key() {
    let home = Home::new();
    let file = home.file("tactful.toml", "[server]\ngrpc_lisen = \"127.0.0.1:1\"\n[engine]\nreplies_max = \"many\"\n");
    let told = failed(2, &Call::new(&["serve", "--config", &file]).output());
    assert_told(
        &told,
        &[
            &format!("{file}: line 2: unknown key `server.grpc_lisen`; did you mean `server.grpc_listen`?"),
            &format!("{file}: line 4: `engine.replies_max`: invalid type: string \"many\""),
        ],
    );
    let told = failed(2, &Call::new(&["serve"]).env("TACTFUL__SERVER__DRAIN_MS_MX", "5").output());
    assert_told(&told, &["environment variable TACTFUL__SERVER__DRAIN_MS_MX", "did you mean `server.drain_ms_max`?"]);
    let told = failed(2, &Call::new(&["serve"]).env("TACTFUL__SERVER__THREADS", "-1").output());
    assert_told(&told, &["TACTFUL__SERVER__THREADS", "`server.threads`"]);
    let told = failed(2, &Call::new(&["serve", "--config", "no-such.toml"]).output());
    assert_told(&told, &["cannot read the configuration no-such.toml"]);
    let told = failed(2, &Call::new(&["serve", "--grpc-listen", "localhost"]).output());
    assert_told(&told, &["--grpc-listen", "localhost"]);
    let told = failed(2, &Call::new(&["serve"]).env("TACTFUL__LOG_FILTER", "loud=very").output());
    assert_told(&told, &["log_filter = \"loud=very\" is no filter"]);
    let told = failed(
        2,
        &Call::new(&["serve", "--catalog", super::shipped_catalog().to_str().expect("text"), "--log", "reddis"])
            .output(),
    );
    assert_told(&told, &["\"reddis\" is neither \"embedded\" nor an address like \"redis://host:port\""]);
    let told = failed(2, &Call::new(&["serve"]).env("TACTFUL__PARTITIONS", "0").output());
    assert_told(&told, &["partitions is 0"]);
    let mapping = home.file("mapping.toml", "subject.field = \"who\"\nnaem.field = \"what\"\n");
    let told = failed(2, &Call::new(&["serve", "--intake-mapping", &mapping, "--log", "redis://127.0.0.1:1"]).output());
    assert_told(&told, &["mapping.toml, line 2: unknown key `naem`; did you mean `name`?"]);
    let told = failed(2, &Call::new(&["serve", "--intake-mapping", &mapping]).output());
    assert_told(&told, &["intake_mapping: the embedded log has no intake"]);
}

#[test]
fn the_number_of_partitions_of_a_log_never_changes_silently() {
    let home = Home::new();
    Setup::new(&home).env("TACTFUL__PARTITIONS", "4").start().stop();
    let catalog = super::shipped_catalog();
    let data = home.data();
    let args = ["serve", "--catalog", catalog.to_str().expect("text"), "--data-dir", data.to_str().expect("text")];
    let told = failed(1, &Call::new(&args).env("TACTFUL__PARTITIONS", "8").output());
    assert_told(&told, &["has 4 partitions, not 8"]);
}
