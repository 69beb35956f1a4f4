//! Identity tokens, which `docker login` keeps where people log in at a page: exchanged at a token server of the test's own,
//! which a real registry trusts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use lab_tests::{registry::Registry as Server, require};
use oci::{Artifact, OciError, Reference, Registry, Settings};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

type Form = BTreeMap<String, String>;

/// Gives access tokens for the identity token `identity`, signed by the certificate in its folder.
struct Tokens {
    openssl: PathBuf,
    folder: PathBuf,
    asked: Mutex<Vec<Form>>,
}

impl Tokens {
    async fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(&mut stream);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).await.unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        assert!(head.starts_with("POST /token HTTP"), "{head}");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).await.unwrap();
        let form = format!("http://form/?{}", String::from_utf8(body).unwrap());
        let form = reqwest::Url::parse(&form).unwrap();
        let form: Form = form.query_pairs().into_owned().collect();
        let (status, body) = match form["refresh_token"].as_str() {
            "identity" => (
                "200 OK",
                serde_json::json!({ "access_token": self.token(&form), "expires_in": 60 }),
            ),
            _ => (
                "401 Unauthorized",
                serde_json::json!({ "errors": [{ "code": "DENIED", "message": "log in again" }] }),
            ),
        };
        self.asked.lock().unwrap().push(form);
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    /// A token as the registry reads it (distribution project, "Token authentication implementation").
    fn token(&self, form: &Form) -> String {
        let [kind, name, actions] = form["scope"].split(':').collect::<Vec<_>>()[..] else {
            panic!("{form:?}");
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let certificate = self.openssl(&["x509", "-in", "cert.pem", "-outform", "der"], b"");
        let header = serde_json::json!({
            "typ": "JWT", "alg": "RS256", "x5c": [STANDARD.encode(certificate)],
        });
        let claims = serde_json::json!({
            "iss": "issuer", "aud": form["service"], "sub": "lab", "jti": name,
            "iat": now.as_secs(), "nbf": now.as_secs(), "exp": now.as_secs() + 60,
            "access": [{ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }],
        });
        let [header, claims] = [header, claims].map(|it| URL_SAFE_NO_PAD.encode(it.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.openssl(&["dgst", "-sha256", "-sign", "key.pem"], signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn openssl(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut openssl = Command::new(&self.openssl)
            .current_dir(&self.folder)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        openssl.stdin.take().unwrap().write_all(input).unwrap();
        let output = openssl.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    }

    /// The scopes that were asked for.
    fn scopes(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|form| form["scope"].clone()).collect()
    }
}

fn certify(openssl: &Path, folder: &Path) {
    let made = Command::new(openssl)
        .current_dir(folder)
        .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=lab".split(' '))
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
}

#[tokio::test]
async fn an_identity_token_gets_an_access_token_for_each_repository() {
    let test = "an_identity_token_gets_an_access_token_for_each_repository";
    let Some(openssl) = require::program(test, "openssl") else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::start_with(test, |folder| {
        certify(&openssl, folder);
        format!(
            "auth:\n  token:\n    realm: http://127.0.0.1:{port}/token\n    service: the registry\n    issuer: issuer\n    \
             rootcertbundle: {}/cert.pem",
            folder.display()
        )
    });
    let Some(server) = server else {
        return;
    };
    let tokens = Arc::new(Tokens {
        openssl,
        folder: server.folder().to_owned(),
        asked: Mutex::default(),
    });
    let serving = Arc::clone(&tokens);
    tokio::spawn(async move {
        loop {
            serving.answer(listener.accept().await.unwrap().0).await;
        }
    });

    let content = tempfile::tempdir().unwrap();
    fs::write(content.path().join("a.yaml"), "a: 1\n").unwrap();
    let artifact = Artifact::pack(content.path()).unwrap();
    let docker_config = server.folder().join("docker");
    fs::create_dir(&docker_config).unwrap();
    let client = |identity: &str| {
        // `lab:`
        let config = format!(
            r#"{{"auths":{{"{}":{{"auth":"bGFiOg==","identitytoken":"{identity}"}}}}}}"#,
            server.address()
        );
        fs::write(docker_config.join("config.json"), config).unwrap();
        Registry::new(Settings {
            docker_config: Some(docker_config.clone()),
            ..Settings::default()
        })
    };
    let [one, two]: [Reference; 2] = ["one", "two"].map(|name| {
        format!("{}/lab/{name}:1", server.address())
            .parse()
            .unwrap()
    });

    let error = client("outdated").resolve(&one).await.unwrap_err();
    assert!(
        matches!(error, OciError::Denied { status: 401, .. }),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("log in again") && !text.contains("outdated"),
        "{text}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .starts_with("log in with `docker login")
    );

    let client = client("identity");
    for reference in [&one, &two] {
        client.push_artifact(&artifact, reference).await.unwrap();
        let pulled = client.pull_artifact(reference).await.unwrap();
        assert_eq!(pulled, artifact);
    }
    assert_eq!(
        tokens.scopes()[1..],
        [
            "repository:lab/one:pull",
            "repository:lab/one:pull,push",
            "repository:lab/two:pull",
            "repository:lab/two:pull,push",
        ]
    );
    let asked = tokens.asked.lock().unwrap().pop().unwrap();
    assert_eq!(asked["grant_type"], "refresh_token");
    assert_eq!(asked["service"], "the registry");
}
