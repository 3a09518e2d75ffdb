//! A workspace behind a certificate of a private authority: trusted by `ca_file`, by nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::Stage;

/// A private authority and a certificate of it for a name; both as PEM and as the server wants them.
struct Authority {
    pem: String,
    server: Arc<ServerConfig>,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&own_key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(own_key.serialize_der()).unwrap();
    let server =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own.der().clone()], key).unwrap();
    Authority { pem: root.pem(), server: Arc::new(server) }
}

/// Ends TLS in front of a plain server, for as long as the runtime lives.
fn in_front_of(plain: SocketAddr, server: Arc<ServerConfig>) -> (tokio::runtime::Runtime, SocketAddr) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(server);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust us ends the handshake; that is its right.
                let Ok(mut outer) = acceptor.accept(stream).await else { return };
                let Ok(mut inner) = TcpStream::connect(plain).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    (runtime, address)
}

#[test]
fn a_private_authority_is_trusted_by_ca_file_and_by_nothing_else() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let plain = url::Url::parse(stage.sim.scim_url()).unwrap().socket_addrs(|| None).unwrap()[0];
    let authority = authority("localhost");
    let (_runtime, address) = in_front_of(plain, authority.server);
    let file = stage.home.path().join("private-ca.pem");
    std::fs::write(&file, &authority.pem).unwrap();
    let secure = format!("https://localhost:{}/scim/v2", address.port());
    let with = |keys: &str| {
        let target = stage.target(keys).replace(stage.sim.scim_url(), &secure);
        stage.home.configure(&format!("[[sync]]\nsource = {{ {} }}\n{target}\n", stage.source()));
    };
    with("");
    let refused = stage.run(&["--reconcile-now"]).exits(6);
    refused.says(&["certificate", "ca_file"]);
    assert!(stage.sim.writes().is_empty());
    with(&format!(", ca_file = {file:?}"));
    stage.run(&["--reconcile-now"]).exits(0).says(&["1 created"]);
    assert!(stage.sim.world().account("ann@acme.example").unwrap().active());
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let plain = url::Url::parse(stage.sim.scim_url()).unwrap().socket_addrs(|| None).unwrap()[0];
    let authority = authority("elsewhere.example");
    let (_runtime, address) = in_front_of(plain, authority.server);
    let file = stage.home.path().join("private-ca.pem");
    std::fs::write(&file, &authority.pem).unwrap();
    let secure = format!("https://localhost:{}/scim/v2", address.port());
    let target = stage.target(&format!(", ca_file = {file:?}")).replace(stage.sim.scim_url(), &secure);
    stage.home.configure(&format!("[[sync]]\nsource = {{ {} }}\n{target}\n", stage.source()));
    stage.run(&["--reconcile-now"]).exits(6).says(&["certificate"]);
    assert!(stage.sim.world().accounts().is_empty());
}
