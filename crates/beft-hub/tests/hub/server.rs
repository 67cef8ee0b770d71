//! A hub in miniature: the routes, headers and redirects that a client sees, and faults on demand.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// How long [`Fault::Stall`] keeps the connection.
pub const STALL: Duration = Duration::from_secs(3);

/// What was asked for. `path` has no query.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub from: Option<usize>,
    pub authorization: Option<String>,
}

#[derive(Clone, Debug)]
pub enum Fault {
    /// Closes after so many bytes of the body.
    Cut(usize),
    /// Says nothing more after so many bytes of the body, but keeps the connection for a while.
    Stall(usize),
    /// Answers with a status and these header lines.
    Status(u16, &'static str),
    /// Sends the whole file although a part was asked for.
    WholeFile,
    /// Sends a part, but another one than was asked for.
    OtherPart,
    /// Changes one byte.
    Damage,
    /// Sends and announces so many bytes.
    Resize(usize),
    /// Another ETag on a file that is not large.
    Etag(&'static str),
    /// Waits before the answer.
    Slow,
}

#[derive(Clone)]
struct RepoFile {
    content: Vec<u8>,
    large: bool,
}

#[derive(Default)]
struct State {
    /// By `models/org/name`: the commit and its files.
    repos: BTreeMap<String, (String, BTreeMap<String, RepoFile>)>,
    renamed: BTreeMap<String, String>,
    blobs: BTreeMap<String, Vec<u8>>,
    /// Method, end of the path, the fault, and whether it stays.
    faults: Vec<(&'static str, String, Fault, bool)>,
    log: Vec<Request>,
    storage: Option<String>,
    token: Option<String>,
}

pub struct Server {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, own) = (Arc::clone(&state), url.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, own) = (Arc::clone(&shared), own.clone());
                // A client that hangs up is part of the tests.
                thread::spawn(move || drop(serve(stream, &shared, &own)));
            }
        });
        Self { url, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A repository, `models/org/name` or `datasets/org/name`, whose `main` is `commit`.
    pub fn repo(&self, id: &str, commit: &str) {
        let mut state = self.state();
        let files = state.repos.remove(id).map(|r| r.1).unwrap_or_default();
        state
            .repos
            .insert(id.to_owned(), (commit.to_owned(), files));
    }

    pub fn file(&self, id: &str, file: &str, content: &[u8]) {
        self.add(id, file, content, false);
    }

    pub fn large_file(&self, id: &str, file: &str, content: &[u8]) {
        self.store(content);
        self.add(id, file, content, true);
    }

    fn add(&self, id: &str, file: &str, content: &[u8], large: bool) {
        let content = content.to_vec();
        let mut state = self.state();
        let repo = state.repos.get_mut(id).unwrap();
        repo.1.insert(file.to_owned(), RepoFile { content, large });
    }

    /// Content under `/storage/<sha256>`.
    pub fn store(&self, content: &[u8]) {
        let key = sha256(content);
        self.state().blobs.insert(key, content.to_vec());
    }

    /// Large files are redirected to this server from now on.
    pub fn store_at(&self, other: &Self) {
        self.state().storage = Some(other.url.clone());
    }

    /// The old name redirects to the new one, by a path.
    pub fn rename(&self, old: &str, new: &str) {
        self.state().renamed.insert(old.to_owned(), new.to_owned());
    }

    pub fn require_token(&self, token: &str) {
        self.state().token = Some(token.to_owned());
    }

    pub fn fault(&self, method: &'static str, path_end: &str, fault: Fault) {
        let path_end = path_end.to_owned();
        self.state().faults.push((method, path_end, fault, false));
    }

    pub fn always(&self, method: &'static str, path_end: &str, fault: Fault) {
        let path_end = path_end.to_owned();
        self.state().faults.push((method, path_end, fault, true));
    }

    pub fn no_faults(&self) {
        self.state().faults.clear();
    }

    /// The requests since the last call.
    pub fn take_log(&self) -> Vec<Request> {
        std::mem::take(&mut self.state().log)
    }
}

pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

pub fn git_hash(content: &[u8]) -> String {
    let sha = Sha1::new_with_prefix(format!("blob {}\0", content.len()));
    hex(&sha.chain_update(content).finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, own: &str) -> std::io::Result<()> {
    let Some(request) = read_request(&stream)? else {
        return Ok(());
    };
    let (answer, fault) = {
        let mut state = state.lock().unwrap();
        state.log.push(request.clone());
        let fault = state.next_fault(&request);
        (state.answer(&request, own, fault.as_ref()), fault)
    };
    if matches!(fault, Some(Fault::Slow)) {
        thread::sleep(Duration::from_millis(300));
    }
    let Answer {
        status,
        mut headers,
        mut body,
    } = answer;
    if matches!(fault, Some(Fault::Damage)) {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    }
    let sent = match fault {
        Some(Fault::Cut(n) | Fault::Stall(n)) => n.min(body.len()),
        _ => body.len(),
    };
    headers.push_str(&format!("Content-Length: {}\r\n", body.len()));
    let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method == "GET" {
        stream.write_all(&body[..sent])?;
    }
    stream.flush()?;
    if matches!(fault, Some(Fault::Stall(_))) {
        thread::sleep(STALL);
    }
    Ok(())
}

fn read_request(stream: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut lines = BufReader::new(stream).lines();
    let Some(first) = lines.next().transpose()? else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, path) = (word(), word());
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let mut request = Request {
        method,
        path,
        from: None,
        authorization: None,
    };
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let (key, value) = line.split_once(": ").unwrap();
        match key.to_ascii_lowercase().as_str() {
            "range" => {
                let from = value.strip_prefix("bytes=").unwrap().strip_suffix('-');
                request.from = Some(from.unwrap().parse().unwrap());
            }
            "authorization" => request.authorization = Some(value.to_owned()),
            "accept-encoding" => assert_eq!(value, "identity"),
            _ => {}
        }
    }
    Ok(Some(request))
}

struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16, headers: impl Into<String>) -> Self {
        Self {
            status,
            headers: headers.into(),
            body: Vec::new(),
        }
    }
}

impl State {
    fn next_fault(&mut self, request: &Request) -> Option<Fault> {
        let at = self.faults.iter().position(|(method, end, ..)| {
            *method == request.method && request.path.ends_with(end.as_str())
        })?;
        if self.faults[at].3 {
            Some(self.faults[at].2.clone())
        } else {
            Some(self.faults.remove(at).2)
        }
    }

    fn answer(&self, request: &Request, own: &str, fault: Option<&Fault>) -> Answer {
        if let Some(Fault::Status(status, headers)) = fault {
            return Answer::new(*status, *headers);
        }
        let path = request.path.as_str();
        if let Some(key) = path.strip_prefix("/storage/") {
            return match self.blobs.get(key) {
                Some(content) => {
                    content_answer(content, request.from, fault, "ETag: \"other-1\"\r\n")
                }
                None => Answer::new(404, ""),
            };
        }
        let expected = self.token.as_ref().map(|token| format!("Bearer {token}"));
        if expected.is_some() && request.authorization != expected {
            return Answer::new(401, "X-Error-Code: RepoNotFound\r\n");
        }
        for (old, new) in &self.renamed {
            for (from, to) in [
                (format!("/api/models/{old}/"), format!("/api/models/{new}/")),
                (format!("/{old}/"), format!("/{new}/")),
            ] {
                if let Some(rest) = path.strip_prefix(&from) {
                    return Answer::new(307, format!("Location: {to}{rest}\r\n"));
                }
            }
        }
        if let Some(rest) = path.strip_prefix("/api/") {
            return self.info(rest);
        }
        self.resolve(request, own, fault)
    }

    fn info(&self, rest: &str) -> Answer {
        let (id, revision) = rest.split_once("/revision/").unwrap();
        let Some((commit, files)) = self.repos.get(id) else {
            return Answer::new(404, "X-Error-Code: RepoNotFound\r\n");
        };
        if revision != "main" && revision != "v1%2Fx" && revision != commit {
            return Answer::new(404, "X-Error-Code: RevisionNotFound\r\n");
        }
        let siblings: Vec<String> = files
            .keys()
            .map(|file| format!("{{\"rfilename\":\"{file}\"}}"))
            .collect();
        let body = format!(
            "{{\"id\":\"{id}\",\"sha\":\"{commit}\",\"siblings\":[{}]}}",
            siblings.join(",")
        );
        Answer {
            status: 200,
            headers: "Content-Type: application/json\r\n".to_owned(),
            body: body.into_bytes(),
        }
    }

    fn resolve(&self, request: &Request, own: &str, fault: Option<&Fault>) -> Answer {
        let (id, rest) = request.path[1..].split_once("/resolve/").unwrap();
        let (revision, file) = rest.split_once('/').unwrap();
        let id = if id.starts_with("datasets/") {
            id.to_owned()
        } else {
            format!("models/{id}")
        };
        let Some((commit, files)) = self.repos.get(&id) else {
            return Answer::new(404, "X-Error-Code: RepoNotFound\r\n");
        };
        assert_eq!(revision, commit, "files are asked for by commit");
        let commit = format!("X-Repo-Commit: {commit}\r\n");
        let Some(RepoFile { content, large }) = files.get(&file.replace("%20", " ")) else {
            return Answer::new(404, format!("X-Error-Code: EntryNotFound\r\n{commit}"));
        };
        if *large {
            let (sha, size) = (sha256(content), content.len());
            let storage = self.storage.as_deref().unwrap_or(own);
            return Answer::new(
                302,
                format!(
                    "{commit}X-Linked-ETag: \"{sha}\"\r\nX-Linked-Size: {size}\r\nETag: \"pointer\"\r\n\
                     Location: {storage}/storage/{sha}?signature=secret\r\n"
                ),
            );
        }
        let etag = match fault {
            Some(Fault::Etag(etag)) => (*etag).to_owned(),
            _ => format!("\"{}\"", git_hash(content)),
        };
        let headers = format!("{commit}ETag: {etag}\r\n");
        content_answer(content, request.from, fault, &headers)
    }
}

fn content_answer(
    content: &[u8],
    from: Option<usize>,
    fault: Option<&Fault>,
    headers: &str,
) -> Answer {
    let size = content.len();
    let whole = |body: Vec<u8>| Answer {
        status: 200,
        headers: headers.to_owned(),
        body,
    };
    match (fault, from) {
        (Some(Fault::WholeFile), _) => whole(content.to_vec()),
        (Some(Fault::Resize(n)), _) => whole(content.iter().copied().cycle().take(*n).collect()),
        (_, None) => whole(content.to_vec()),
        (_, Some(from)) if from >= size => {
            Answer::new(416, format!("Content-Range: bytes */{size}\r\n"))
        }
        (_, Some(from)) => {
            let from = from - usize::from(matches!(fault, Some(Fault::OtherPart)));
            Answer {
                status: 206,
                headers: format!(
                    "{headers}Content-Range: bytes {from}-{}/{size}\r\n",
                    size - 1
                ),
                body: content[from..].to_vec(),
            }
        }
    }
}
