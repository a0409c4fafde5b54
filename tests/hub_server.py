"""A Hub in memory, as the installed client of huggingface_hub speaks to it: repositories, commits, branches, tags, LFS.

It listens on a port that the system chooses, keeps what it was sent (`received`), and fails where a test asks it to.
Answers follow what the client reads: status, X-Error-Code, X-Repo-Commit, ETag and the JSON of each address.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

USER, TOKEN = "tester", "hf_" + "aTokenOfTheTests" * 2
ATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
KINDS = {"models": "", "datasets": "datasets/"}
REPOSITORY = r"(?P<kind>models|datasets)/(?P<id>[^/]+/[^/]+)"


@dataclass
class Blob:
    """The content of a file, and whether it is kept as LFS."""

    content: bytes
    lfs: bool = False

    @property
    def oid(self) -> str:
        """What the client compares: SHA-256 of LFS files, else git's SHA-1."""
        if self.lfs:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    def described(self, path: str) -> dict:
        """As the addresses `tree` and `paths-info` give it."""
        lfs = {"lfs": {"oid": self.oid, "size": len(self.content), "pointerSize": 134}} if self.lfs else {}
        return {"type": "file", "path": path, "oid": self.oid, "size": len(self.content), **lfs}


@dataclass
class Commit:
    """All files at one moment."""

    oid: str
    parent: str | None
    files: dict[str, Blob]
    title: str


@dataclass
class Repository:
    """Commits, and the branches and tags that name them."""

    private: bool = False
    gated: object = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.commit("main", {".gitattributes": Blob(ATTRIBUTES)}, "initial commit")

    def commit(self, branch: str, files: dict[str, Blob], title: str) -> Commit:
        """Add a commit to a branch."""
        parent = self.branches.get(branch)
        described = json.dumps([parent, title, sorted((path, blob.oid) for path, blob in files.items())])
        made = Commit(hashlib.sha1(described.encode()).hexdigest(), parent, files, title)
        self.commits[made.oid] = made
        self.branches[branch] = made.oid
        return made

    def at(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag or the beginning of a commit's own name means."""
        named = self.branches.get(revision) or self.tags.get(revision)
        found = [oid for oid in self.commits if oid == named or (len(revision) >= 7 and oid.startswith(revision))]
        return self.commits[found[0]] if found else None

    def history(self, branch: str = "main") -> list[str]:
        """Titles of the commits of a branch, the newest first."""
        titles, oid = [], self.branches.get(branch)
        while oid is not None:
            titles.append(self.commits[oid].title)
            oid = self.commits[oid].parent
        return titles


@dataclass
class Fault:
    """A failure that the next requests to an address get; status None closes the connection without an answer."""

    address: str
    status: int | None
    times: int
    headers: dict[str, str]


class Answer(Exception):
    """What is sent back: a status, with JSON or bytes and headers."""

    def __init__(self, status: int = 200, body: object = None, headers: dict[str, str] | None = None):
        super().__init__(status)
        self.status, self.headers = status, dict(headers or {})
        self.bytes = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if not isinstance(body, bytes):
            self.headers.setdefault("Content-Type", "application/json")


def missing(what: str, status: int = 404, **headers: str) -> Answer:
    """The answer for a repository, revision or entry that is not there; `what` is the Hub's word for it."""
    return Answer(status, {"error": f"{what} here"}, {"X-Error-Code": what, **headers})


@dataclass
class Hub:
    """The state of the server; tests read it and set faults."""

    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    url: str = ""

    def fail(self, address: str, status: int | None, times: int = 1, **headers: str) -> None:
        """Let the next requests fail whose "METHOD /path" matches this pattern."""
        self.faults.append(Fault(address, status, times, headers))

    def model(self, name: str) -> Repository:
        """A repository of a model."""
        return self.repositories["models", name]

    def files(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """{path: content} of a model."""
        commit = self.model(name).at(revision)
        assert commit is not None, revision
        return {path: blob.content for path, blob in commit.files.items()}

    # Requests

    def answer(self, method: str, target: str, headers, body: bytes) -> Answer:
        """The answer to one request."""
        parts = urlsplit(target)
        with self.lock:
            self.requests.append(f"{method} {parts.path}")
            self.received.append(body)
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.address, f"{method} {parts.path}"):
                    fault.times -= 1
                    if fault.status is None:
                        raise ConnectionAbortedError
                    return Answer(fault.status, {"error": "as the test asked"}, fault.headers)
            try:
                user = self._user(headers.get("Authorization"))
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                return self._routed(method, parts.path, query, body, user)
            except Answer as answer:
                return answer

    def _user(self, authorization: str | None) -> str | None:
        if authorization is None:
            return None
        if authorization != f"Bearer {TOKEN}":
            message = "Invalid credentials in Authorization header"
            raise Answer(401, {"error": message}, {"X-Error-Message": message})
        return USER

    def _routed(self, method: str, path: str, query: dict, body: bytes, user: str | None) -> Answer:
        routes = (
            ("GET /api/whoami-v2", self._whoami),
            ("POST /api/repos/create", self._create),
            ("POST /api/validate-yaml", self._validate),
            (rf"GET /api/{REPOSITORY}(?:/revision/(?P<revision>[^/]+))?", self._info),
            (rf"PUT /api/{REPOSITORY}/settings", self._settings),
            (rf"GET /api/{REPOSITORY}/refs", self._refs),
            (rf"GET /api/{REPOSITORY}/tree/(?P<revision>[^/]+)(?:/(?P<below>.+))?", self._tree),
            (rf"POST /api/{REPOSITORY}/paths-info/(?P<revision>[^/]+)", self._paths),
            (rf"POST /api/{REPOSITORY}/branch/(?P<branch>[^/]+)", self._branch),
            (rf"POST /api/{REPOSITORY}/tag/(?P<revision>[^/]+)", self._tag),
            (rf"POST /api/{REPOSITORY}/preupload/(?P<revision>[^/]+)", self._preupload),
            (rf"POST /api/{REPOSITORY}/commit/(?P<revision>[^/]+)", self._commit),
            (r"POST /(?P<place>datasets/)?(?P<id>[^/]+/[^/]+)\.git/info/lfs/objects/batch", self._batch),
            (r"PUT /lfs/(?P<oid>[0-9a-f]{64})", self._upload),
            (r"(?:GET|HEAD) /(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)", self._resolve),
        )
        for pattern, handle in routes:
            if match := re.fullmatch(pattern, f"{method} {path}"):
                named = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
                return handle(user=user, query=query, body=body, **named)
        return Answer(404, {"error": f"nothing answers {method} {path}"})

    def _repository(self, kind: str, name: str, user: str | None, write: bool = False) -> Repository:
        found = self.repositories.get((kind, name))
        if found is None or (found.private and user is None):
            raise missing("RepoNotFound", 404 if user else 401)
        if write:
            self._require_writer(user, name)
        return found

    def _require_writer(self, user: str | None, name: str) -> None:
        if user is None:
            raise Answer(401, {"error": "Invalid username or password."})
        if name.split("/")[0] != user:
            raise Answer(403, {"error": "not yours"}, {"X-Error-Message": "You don't have the rights"})

    def _at(self, repository: Repository, revision: str) -> Commit:
        found = repository.at(revision)
        if found is None:
            raise missing("RevisionNotFound")
        return found

    def _whoami(self, user, **_) -> Answer:
        if user is None:
            return Answer(401, {"error": "Invalid username or password."})
        return Answer(body={"type": "user", "name": user, "orgs": [], "auth": {"accessToken": {"role": "write"}}})

    def _create(self, user, body, **_) -> Answer:
        asked = json.loads(body)
        name = f"{asked.get('organization') or user}/{asked['name']}"
        self._require_writer(user, name)
        key = f"{asked.get('type') or 'model'}s", name
        url = {"url": f"{self.url}/{KINDS[key[0]]}{name}", "name": name, "id": name}
        if key in self.repositories:
            return Answer(409, {"error": "You already created this repo", **url})
        self.repositories[key] = Repository(private=asked.get("visibility") == "private" or asked.get("private", False))
        return Answer(body=url)

    def _validate(self, body, **_) -> Answer:
        header = re.match(r"---\n(.*?)\n---\n", json.loads(body)["content"], re.DOTALL)
        try:
            known = yaml.safe_load(header[1]) if header else {}
        except yaml.YAMLError as error:
            return Answer(400, {"errors": [{"message": str(error)}], "warnings": []})
        warnings = [] if "license" in known else [{"message": "empty or missing yaml metadata: license"}]
        return Answer(body={"errors": [], "warnings": warnings})

    def _info(self, kind, id, user, revision="main", **_) -> Answer:
        repository = self._repository(kind, id, user)
        commit = self._at(repository, revision)
        names = [{"rfilename": path} for path in sorted(commit.files)]
        return Answer(
            body={
                "_id": "0",
                "id": id,
                "modelId": id,
                "sha": commit.oid,
                "private": repository.private,
                "gated": repository.gated,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": names,
            }
        )

    def _settings(self, kind, id, user, body, **_) -> Answer:
        repository, asked = self._repository(kind, id, user, write=True), json.loads(body)
        repository.gated = asked.get("gated", repository.gated)
        repository.private = asked.get("visibility", "private" if repository.private else "public") == "private"
        return Answer(body={})

    def _refs(self, kind, id, user, **_) -> Answer:
        repository = self._repository(kind, id, user)
        named = {
            place: [{"name": name, "ref": f"refs/{word}/{name}", "targetCommit": oid} for name, oid in known.items()]
            for place, word, known in (("branches", "heads", repository.branches), ("tags", "tags", repository.tags))
        }
        return Answer(body={**named, "converts": []})

    def _tree(self, kind, id, user, revision, query, below="", **_) -> Answer:
        files = self._at(self._repository(kind, id, user), revision).files
        prefix, entries = below and f"{below}/", {}
        for path, blob in sorted(files.items()):
            if not path.startswith(prefix):
                continue
            folders = path.removeprefix(prefix).split("/")[:-1]
            deep = query.get("recursive", "false").lower() == "true"
            for depth in range(len(folders) if deep else min(1, len(folders))):
                folder = prefix + "/".join(folders[: depth + 1])
                entries[folder] = {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}
            if deep or not folders:
                entries[path] = blob.described(path)
        return Answer(body=list(entries.values())) if entries else missing("EntryNotFound")

    def _paths(self, kind, id, user, revision, body, **_) -> Answer:
        files = self._at(self._repository(kind, id, user), revision).files
        asked = json.loads(body)["paths"] if body[:1] == b"{" else parse_qs(body.decode()).get("paths", [])
        return Answer(body=[files[path].described(path) for path in asked if path in files])

    def _branch(self, kind, id, user, branch, body, **_) -> Answer:
        repository = self._repository(kind, id, user, write=True)
        if branch in repository.branches:
            return Answer(409, {"error": "Reference already exists"})
        start = json.loads(body or b"{}").get("startingPoint", "main")
        repository.branches[branch] = self._at(repository, start).oid
        return Answer(body={})

    def _tag(self, kind, id, user, revision, body, **_) -> Answer:
        repository, tag = self._repository(kind, id, user, write=True), json.loads(body)["tag"]
        if tag in repository.tags:
            return Answer(409, {"error": "Tag reference exists already"})
        repository.tags[tag] = self._at(repository, revision).oid
        return Answer(body={})

    def _preupload(self, kind, id, user, revision, body, **_) -> Answer:
        there = self._at(self._repository(kind, id, user, write=True), revision).files
        files = []
        for asked in json.loads(body)["files"]:
            path, binary = asked["path"], b"\0" in base64.b64decode(asked["sample"])
            large = binary or path.endswith((".safetensors", ".pt", ".pth", ".bin", ".parquet"))
            oid = there[path].oid if path in there else None
            mode = "lfs" if large else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return Answer(body={"files": files})

    def _batch(self, id, user, body, place="", **_) -> Answer:
        kind = next(kind for kind, prefix in KINDS.items() if prefix == place)
        self._repository(kind, id, user, write=True)
        objects = []
        for asked in json.loads(body)["objects"]:
            upload = {"actions": {"upload": {"href": f"{self.url}/lfs/{asked['oid']}"}}}
            objects.append({**asked, **({} if asked["oid"] in self.objects else upload)})
        answer = {"transfer": "basic", "objects": objects}
        return Answer(body=answer, headers={"Content-Type": "application/vnd.git-lfs+json"})

    def _upload(self, oid, body, **_) -> Answer:
        if hashlib.sha256(body).hexdigest() != oid:
            return Answer(400, {"error": "the content is not what its name says"})
        self.objects[oid] = body
        return Answer()

    def _commit(self, kind, id, user, revision, body, **_) -> Answer:
        repository = self._repository(kind, id, user, write=True)
        if revision not in repository.branches:
            return missing("RevisionNotFound")
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        header, head = lines[0]["value"], repository.branches[revision]
        if not head.startswith(header.get("parentCommit", head)):
            return Answer(412, {"error": "A commit has happened since. Please refresh and try again."})
        files = dict(repository.commits[head].files)
        for line in lines[1:]:
            path = line["value"]["path"]
            if line["key"] == "file":
                files[path] = Blob(base64.b64decode(line["value"]["content"]))
                self.received.append(files[path].content)
            elif line["key"] == "lfsFile":
                if line["value"]["oid"] not in self.objects:
                    return Answer(400, {"error": f"the LFS object of {path} was never uploaded"})
                files[path] = Blob(self.objects[line["value"]["oid"]], lfs=True)
            elif line["key"] == "deletedFile":
                if files.pop(path, None) is None:
                    return missing("EntryNotFound")
            elif line["key"] == "deletedFolder":
                files = {name: blob for name, blob in files.items() if not name.startswith(f"{path.rstrip('/')}/")}
        made = repository.commit(revision, files, header["summary"])
        url = f"{self.url}/{id}/commit/{made.oid}"
        return Answer(body={"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""})

    def _resolve(self, id, user, revision, file, **_) -> Answer:
        commit = self._at(self._repository("models", id, user), revision)
        blob = commit.files.get(file)
        if blob is None:
            return missing("EntryNotFound", **{"X-Repo-Commit": commit.oid})
        headers = {"ETag": f'"{blob.oid}"', "X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        if blob.lfs:
            headers |= {"X-Linked-Etag": f'"{blob.oid}"', "X-Linked-Size": str(len(blob.content))}
        return Answer(body=blob.content, headers=headers)


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self):
            try:
                answer = hub.answer(self.command, self.path, self.headers, self._body())
            except ConnectionAbortedError:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.bytes)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.bytes)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            pieces = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = reply

    return Handler


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A Hub that listens until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
