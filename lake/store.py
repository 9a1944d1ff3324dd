"""The place where the lake lies, a bucket or a folder: addresses to URIs, small objects, landing, and the options of every engine that reads it."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import mimetypes
import os
import re
import secrets
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.utils import parse_timestamp
from pydantic import SecretStr

from lake.errors import FileChanged, LakeError, SettingsWrong, SourceMissing, StoreUnreachable
from lake.server import credentials
from lake.settings import Settings

if TYPE_CHECKING:
    import pyarrow.fs as pafs

PART = 16 * 2**20  # multipart above 16 MiB: 10,000 parts reach 156 GiB, and a lost part costs seconds
UPLOADS = 4  # parts on the way at once
CONFLICT_TRIES = 6  # a 409 says "a racing request, ask again": 50 ms doubling, 1.6 s at the end
UNFINISHED = ".lake-part"  # the ending of files that are not there yet for any reader of a folder
_GLOB = re.compile(r"[*?\[]")


def open_store(settings: Settings | None = None) -> Store:
    """The store of LAKE_ROOT, with keys from the environment, the embedded server's file, or the usual AWS chain.

    Raises:
        StoreUnreachable: the root is on the embedded server, which was never started.
        SettingsWrong: only one of the two keys is set.
    """
    settings = settings or Settings.load()
    if not settings.on_s3:
        return Store(settings.root)
    if settings.embedded:
        endpoint, access, secret = credentials(settings)
        return Store(settings.root, endpoint, settings.region, access, SecretStr(secret))
    if (settings.access_key is None) != (settings.secret_key is None):
        raise SettingsWrong("only one of LAKE_ACCESS_KEY and LAKE_SECRET_KEY is set", next_step="set both, or neither (the usual AWS chain)")
    access_key = settings.access_key.get_secret_value() if settings.access_key else None
    return Store(settings.root, settings.endpoint, settings.region, access_key, settings.secret_key)


def open_place(location: str, name: str, settings: Settings | None = None, environ: Mapping[str, str] = os.environ) -> Store:
    """Where a source's files lie, read-only: the part of `location` before its pattern.

    A relative location is below LAKE_ROOT. A bucket elsewhere has its keys in LAKE_SOURCE_<NAME>_{ENDPOINT,ACCESS_KEY,SECRET_KEY,REGION};
    when none of them is set, it is asked with LAKE_ENDPOINT and its keys, or else by the usual AWS chain.
    """
    settings = settings or Settings.load()
    fixed, _ = split_location(location)
    if fixed.startswith(("s3://", "s3a://", "s3n://")):
        root = "s3a://" + fixed.split("://", 1)[1].rstrip("/")
        prefix = f"LAKE_SOURCE_{re.sub('[^A-Z0-9]', '_', name.upper())}_"
        own = {k: environ[prefix + k] for k in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY", "REGION") if environ.get(prefix + k)}
        if ("ACCESS_KEY" in own) != ("SECRET_KEY" in own):
            raise SettingsWrong(
                f"only one of {prefix}ACCESS_KEY and {prefix}SECRET_KEY is set", next_step="set both, or neither for the usual AWS chain"
            )
        if own:
            secret = SecretStr(own["SECRET_KEY"]) if "SECRET_KEY" in own else None
            return Store(root, own.get("ENDPOINT"), own.get("REGION", settings.region), own.get("ACCESS_KEY"), secret, name, False)
        if settings.on_s3 and (settings.endpoint or _bucket(root) == _bucket(settings.root)):
            main = open_store(settings)
            return Store(root, main.endpoint, main.region, main.access_key, main.secret_key, name, False)
        return Store(root, None, settings.region, None, None, name, False)
    if fixed.startswith(("/", "file://")):
        return Store(fixed.removeprefix("file://").rstrip("/") or "/", name=name, writable=False)
    main = open_store(settings)
    return Store(main.key_uri(fixed), main.endpoint, main.region, main.access_key, main.secret_key, name, False)


def split_location(location: str) -> tuple[str, str]:
    """A location's fixed folder and its pattern: "raw/logs/**" is ("raw/logs", "**"); a file's name alone is a pattern as well."""
    scheme, mark, path = location.rpartition("://")
    parts = path.split("/")
    first = next((i for i, part in enumerate(parts) if _GLOB.search(part)), len(parts) - 1)
    return scheme + mark + "/".join(parts[:first]), "/".join(parts[first:])


@dataclass(frozen=True, slots=True)
class Object:
    """One object of the store, as a listing tells it."""

    key: str
    size: int
    etag: str
    modified: datetime
    sha256: str | None = None  # what its landing said; a listing does not carry it, `Store.stat` does


@dataclass(frozen=True, slots=True)
class Store:
    """A bucket with a prefix, or a folder. Keys are relative to its root; its secret is in no repr and in no pickle."""

    root: str
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: SecretStr | None = field(default=None, repr=False)
    name: str | None = None  # of the source, for a place that is not the lake itself
    writable: bool = True

    @property
    def on_s3(self) -> bool:
        """Whether this is a bucket (else it is a folder)."""
        return self.root.startswith("s3a://")

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return _bucket(self.root)

    # --- addresses -------------------------------------------------------------------------------------------------------------------------

    def uri(self, address: str) -> str:
        """The address's table for Spark: s3a://lake/silver/texts or /folder/silver/texts."""
        zone, dot, name = address.partition(".")
        if not dot or not re.fullmatch(r"\w+", zone) or not re.fullmatch(r"[\w-]+", name):
            raise SettingsWrong(f"{address!r} is no address", next_step="write it <zone>.<name>, as in silver.texts")
        return f"{self.root}/{zone}/{name}"

    def delta_uri(self, address: str) -> str:
        """The address's table for delta-rs, DuckDB and Polars: s3://lake/silver/texts or /folder/silver/texts."""
        return self.uri(address).replace("s3a://", "s3://", 1)

    def key_uri(self, key: str) -> str:
        """The URI of a key, for Spark."""
        return f"{self.root}/{key}" if key else self.root

    # --- engines ---------------------------------------------------------------------------------------------------------------------------

    def spark_options(self) -> dict[str, str]:
        """fs.s3a.* of the Hadoop configuration; a named place has them for its own bucket only. They hold the secret: never give them to --conf."""
        if not self.on_s3:
            return {}
        options: dict[str, str] = {"endpoint.region": self.region}
        if self.endpoint:
            options |= {
                "endpoint": self.endpoint,
                "path.style.access": "true",
                "connection.ssl.enabled": str(self.endpoint.startswith("https")).lower(),
            }
        if self.access_key and self.secret_key:
            options |= {
                "access.key": self.access_key,
                "secret.key": self.secret_key.get_secret_value(),
                "aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
            }
        else:
            options["aws.credentials.provider"] = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"
        prefix = f"fs.s3a.bucket.{self.bucket}." if self.name else "fs.s3a."
        return {prefix + k: v for k, v in options.items()}

    def delta_options(self) -> dict[str, str]:
        """The storage options of delta-rs (and Polars): commits are conditional PUTs there too."""
        if not self.on_s3:
            return {}
        options = {"AWS_REGION": self.region, "conditional_put": "etag"}
        if self.endpoint:
            options |= {
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_ALLOW_HTTP": str(self.endpoint.startswith("http://")).lower(),
                "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
            }
        if self.access_key and self.secret_key:
            options |= {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key.get_secret_value()}
        return options

    def arrow(self) -> pafs.FileSystem:
        """The file system of pyarrow that reads `arrow_path(uri)`."""
        import pyarrow.fs as pafs

        if not self.on_s3:
            return pafs.LocalFileSystem()
        options: dict[str, Any] = {"region": self.region}
        if self.endpoint:
            scheme, _, host = self.endpoint.rstrip("/").partition("://")
            options |= {"endpoint_override": host, "scheme": scheme}
        if self.access_key and self.secret_key:
            options |= {"access_key": self.access_key, "secret_key": self.secret_key.get_secret_value()}
        return pafs.S3FileSystem(**options)

    def arrow_path(self, uri: str) -> str:
        """A URI of this store as `arrow()` wants it: bucket/key, or the path of a file."""
        return re.sub(r"^(s3[an]?|file)://", "", uri)

    def s3(self) -> Any:
        """A boto3 client, one per process.

        Raises:
            SettingsWrong: this store is a folder.
        """
        if not self.on_s3:
            raise SettingsWrong(f"{self.root} is a folder, not a bucket", next_step="export LAKE_ROOT=s3a://bucket")
        secret = self.secret_key.get_secret_value() if self.secret_key else None
        return _client(os.getpid(), self.endpoint, self.region, self.access_key, secret)

    # --- small objects ---------------------------------------------------------------------------------------------------------------------

    def get(self, key: str) -> bytes | None:
        """The bytes under a key; None when there are none."""
        if not self.on_s3:
            try:
                return self._file(key).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        with _answers(self):
            try:
                return self.s3().get_object(Bucket=self.bucket, Key=self._s3_key(key))["Body"].read()
            except ClientError as error:
                if _code(error) in ("NoSuchKey", "404"):
                    return None
                raise

    def put(self, key: str, body: bytes) -> None:
        """Write a key, over what was there; whoever reads sees the old bytes or the new ones."""
        self._must_be_writable(key)
        if not self.on_s3:
            with _beside(self._file(key), body) as whole:
                whole.replace(self._file(key))
            return
        with _answers(self):
            # A browser shows a page that says it is one, and saves any other.
            kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
            self.s3().put_object(Bucket=self.bucket, Key=self._s3_key(key), Body=body, ContentType=kind)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write a key that is not there yet, whole or not at all; of any number of racing writers exactly one gets True."""
        self._must_be_writable(key)
        if not self.on_s3:
            with _beside(self._file(key), body) as whole:
                return _link(whole, self._file(key))
        return self._put_once(key, body)

    def delete(self, key: str) -> None:
        """Remove a key; nothing happens when it is not there."""
        self._must_be_writable(key)
        if not self.on_s3:
            self._file(key).unlink(missing_ok=True)
            return
        with _answers(self):
            self.s3().delete_object(Bucket=self.bucket, Key=self._s3_key(key))

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys that begin with `prefix`, in the order of their bytes."""
        return (found.key for found in self.list(prefix))

    # --- raw files -------------------------------------------------------------------------------------------------------------------------

    def list(self, prefix: str = "") -> Iterator[Object]:
        """The objects whose keys begin with `prefix`, in the order of their bytes, 1,000 to a request; markers of folders are left out."""
        if not self.on_s3:
            yield from self._walk(prefix)
            return
        base = self._s3_key("")
        with _answers(self):
            for page in self.s3().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=base + prefix):
                for found in page.get("Contents", ()):
                    key = found["Key"][len(base) :]
                    if key.endswith("/"):
                        continue
                    if "ETag" in found:
                        yield Object(key, found["Size"], found["ETag"].strip('"'), found["LastModified"].astimezone(UTC))
                    elif (now := self.stat(key)) is not None:  # S3Proxy lists an object that is being written before it has one
                        yield now

    def stat(self, key: str) -> Object | None:
        """One object with the sha256 that its landing wrote beside it; None when there is none."""
        if not self.on_s3:
            try:
                return _file_object(key, self._file(key).stat())
            except (FileNotFoundError, NotADirectoryError):
                return None
        with _answers(self):
            try:
                head = self.s3().head_object(Bucket=self.bucket, Key=self._s3_key(key))
            except ClientError as error:
                if _code(error) in ("NoSuchKey", "404"):
                    return None
                raise
        etag = head.get("ETag", "").strip('"')
        return Object(key, head["ContentLength"], etag, head["LastModified"].astimezone(UTC), head["Metadata"].get("sha256"))

    def land(self, path: Path | str, key: str, sha256: str | None = None) -> bool:
        """Bring a file in whole under a key, with its sha256 as metadata. True when landed, False when these very bytes lay there already.

        Raises:
            LakeError: other bytes lie there: a landing never overwrites.
            FileChanged: the file changed while it was read; nothing of it is left.
            SourceMissing: there is no such file.
        """
        self._must_be_writable(key)
        path = Path(path)
        if not path.is_file():
            raise SourceMissing(f"{path} is not a file", next_step="name files, not folders")
        sha256 = sha256 or _sha256_of(path)
        landed = self.stat(key) is None and (self._upload(path, key, sha256) if self.on_s3 else self._copy(path, key, sha256))
        if not landed and self._digest(key) != sha256:
            raise LakeError(
                f"{self.key_uri(key)} holds other bytes than {path}, and a landing never overwrites", next_step="land it under another name"
            )
        return landed

    # --- what the store can do -------------------------------------------------------------------------------------------------------------

    def honours_conditions(self) -> bool:
        """Whether a second conditional PUT of one key is refused here, found out by trying: commits of several drivers are safe only then."""
        key = f"ops/.probe-{secrets.token_hex(8)}"
        try:
            return self.put_if_absent(key, b"first") and not self.put_if_absent(key, b"second") and self.get(key) == b"first"
        finally:
            self.delete(key)

    def __reduce__(self) -> tuple[object, ...]:
        # No secret travels in a pickle: it would lie in task files and logs. The other side has its own environment.
        return (_reopened, (self.root, self.name, self.endpoint))

    def _s3_key(self, key: str) -> str:
        _, _, prefix = self.root.removeprefix("s3a://").partition("/")
        return f"{prefix}/{key}" if prefix else key

    def _file(self, key: str) -> Path:
        if any(part in ("", ".", "..") for part in key.split("/")):
            raise SettingsWrong(f"{key!r} is no key: it has an empty part, or steps out of its folder", next_step="mend the key")
        return Path(self.root, key)

    def _must_be_writable(self, key: str) -> None:
        if not self.writable:
            raise SettingsWrong(f"{self.key_uri(key)} lies at a source ({self.name}), which is only ever read", next_step="write below LAKE_ROOT")
        if any(part in ("", ".", "..") for part in key.split("/")):
            raise SettingsWrong(f"{key!r} is no key to write: it has an empty part, or steps out of its folder", next_step="mend the key")

    def _upload(self, path: Path, key: str, sha256: str) -> bool:
        if path.stat().st_size <= PART:
            body = path.read_bytes()
            _must_be(path, hashlib.sha256(body).hexdigest(), sha256)
            return self._put_once(key, body, {"sha256": sha256})
        place = {"Bucket": self.bucket, "Key": self._s3_key(key)}
        with _answers(self):
            upload = place | {"UploadId": self.s3().create_multipart_upload(**place, Metadata={"sha256": sha256})["UploadId"]}
            try:
                parts = self._parts(path, upload, sha256)
                return self._once(
                    key, sha256, lambda: self.s3().complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
                )
            finally:
                with contextlib.suppress(ClientError, BotoCoreError):  # after a completion there is nothing to abort
                    self.s3().abort_multipart_upload(**upload)

    def _parts(self, path: Path, upload: dict[str, str], sha256: str) -> list[dict[str, Any]]:
        def send(number: int, part: bytes) -> dict[str, Any]:
            return {"PartNumber": number, "ETag": self.s3().upload_part(**upload, PartNumber=number, Body=part)["ETag"]}

        digest = hashlib.sha256()
        sent: list[Future[dict[str, Any]]] = []
        with open(path, "rb") as file, ThreadPoolExecutor(UPLOADS) as threads:
            while part := file.read(PART):
                digest.update(part)
                if len(sent) >= 2 * UPLOADS:  # memory stays at a few parts
                    sent[-2 * UPLOADS].result()
                sent.append(threads.submit(send, len(sent) + 1, part))
        _must_be(path, digest.hexdigest(), sha256)
        return [part.result() for part in sent]

    def _put_once(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        mark = secrets.token_hex(16)
        place = {"Bucket": self.bucket, "Key": self._s3_key(key), "Metadata": {"write": mark, **(metadata or {})}}
        with _answers(self):
            return self._once(key, mark, lambda: self.s3().put_object(**place, Body=body, IfNoneMatch="*"))

    def _once(self, key: str, mark: str, write: Callable[[], object]) -> bool:
        """Do a conditional write; a 412 may be about our own object, whose reply was lost before a retry: its mark tells."""
        for attempt in range(CONFLICT_TRIES):
            try:
                write()
                return True
            except ClientError as error:
                if _status(error) == 412 or _code(error) == "NoSuchUpload":  # a completed upload is no upload any more
                    return self._marked(key, mark)
                if _status(error) != 409 or attempt + 1 == CONFLICT_TRIES:
                    raise
            time.sleep(0.05 * 2**attempt)
        return False

    def _marked(self, key: str, mark: str) -> bool:
        try:
            metadata = self.s3().head_object(Bucket=self.bucket, Key=self._s3_key(key))["Metadata"]
        except ClientError as error:
            if _code(error) in ("NoSuchKey", "404"):  # removed since: somebody had it, and it was not ours to keep
                return False
            raise
        return mark in (metadata.get("write"), metadata.get("sha256"))

    def _copy(self, path: Path, key: str, sha256: str) -> bool:
        digest = hashlib.sha256()
        with _beside(self._file(key)) as whole:
            with open(path, "rb") as file, open(whole, "wb") as copy:
                while block := file.read(2**20):
                    digest.update(block)
                    copy.write(block)
            _must_be(path, digest.hexdigest(), sha256)
            _flushed(whole)
            return _link(whole, self._file(key))

    def _digest(self, key: str) -> str | None:
        known = self.stat(key)
        if known is None or known.sha256:
            return known and known.sha256
        if not self.on_s3:
            return _sha256_of(self._file(key))
        digest = hashlib.sha256()
        with _answers(self):
            for block in self.s3().get_object(Bucket=self.bucket, Key=self._s3_key(key))["Body"].iter_chunks(2**20):
                digest.update(block)
        return digest.hexdigest()

    def _walk(self, prefix: str) -> Iterator[Object]:
        folder, _, _ = prefix.rpartition("/")
        start = self._file(folder) if folder else Path(self.root)
        for path, entry in _sorted_files(start, f"{folder}/" if folder else ""):
            if path.startswith(prefix):
                yield _file_object(path, entry.stat())


def _bucket(root: str) -> str:
    return root.removeprefix("s3a://").partition("/")[0]


def _reopened(root: str, name: str | None, endpoint: str | None) -> Store:
    settings = Settings.load()
    store = open_place(root + "/*", name, settings) if name else open_store(settings)
    if (store.root, store.endpoint) != (root, endpoint):
        raise SettingsWrong(
            f"this process works on {store.root} at {store.endpoint or 'AWS'}, and was handed a store on {root} at {endpoint or 'AWS'}",
            next_step="give the worker the same LAKE_* environment as its driver",
        )
    return store


@functools.lru_cache(maxsize=32)
def _client(pid: int, endpoint: str | None, region: str, access_key: str | None, secret_key: str | None) -> Any:
    # The process id is in the key: a client must not cross a fork.
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=32,
        retries={"mode": "standard", "total_max_attempts": 5},
        request_checksum_calculation="when_required",  # servers that are not AWS refuse the trailing checksums of newer SDKs
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    session = boto3.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=region)
    session._session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
    return session.client("s3", endpoint_url=endpoint, config=config)


def _timestamp(value: Any) -> datetime:
    """A time as S3 writes it: botocore's own way, by dateutil, takes 60 of the 105 us that a listed key costs."""
    if isinstance(value, str) and value.endswith("Z") and "T" in value:
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(value)
    return parse_timestamp(value)


@contextlib.contextmanager
def _answers(store: Store) -> Generator[None]:
    """Every error of the store's as one of ours, with what to do about it."""
    try:
        yield
    except NoCredentialsError as error:
        keys = f"LAKE_SOURCE_{store.name.upper()}_ACCESS_KEY and _SECRET_KEY" if store.name else "LAKE_ACCESS_KEY and LAKE_SECRET_KEY"
        raise StoreUnreachable(f"{store.root}: no keys were found", next_step=f"set {keys}, or log in to AWS") from error
    except ClientError as error:
        step = {
            "NoSuchBucket": "make the bucket, or mend LAKE_ROOT",
            "InvalidAccessKeyId": "mend LAKE_ACCESS_KEY",
            "SignatureDoesNotMatch": "mend LAKE_SECRET_KEY",
            "AccessDenied": "give these keys the right to list, read and write here",
        }.get(_code(error), "lake doctor")
        raise StoreUnreachable(f"{store.root} at {store.endpoint or 'AWS'} refused: {error}", next_step=step) from error
    except BotoCoreError as error:
        raise StoreUnreachable(
            f"{store.root} at {store.endpoint or 'AWS'} does not answer: {error}", next_step="lake up, or mend LAKE_ENDPOINT"
        ) from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextlib.contextmanager
def _beside(target: Path, body: bytes | None = None) -> Generator[Path]:
    """A file of our own in the folder of `target`, flushed to the disk; it is gone when the block ends."""
    target.parent.mkdir(parents=True, exist_ok=True)
    whole = target.with_name(f".{secrets.token_hex(8)}{UNFINISHED}")
    try:
        if body is not None:
            whole.write_bytes(body)
            _flushed(whole)
        yield whole
    finally:
        whole.unlink(missing_ok=True)


def _flushed(path: Path) -> None:
    with open(path, "rb") as written:
        os.fsync(written.fileno())


def _link(whole: Path, target: Path) -> bool:
    try:
        os.link(whole, target)  # atomic, and never over an existing name
    except FileExistsError:
        return False
    except OSError as error:
        raise SettingsWrong(
            f"{target.parent}: its file system has no hard links ({error})", next_step="put LAKE_ROOT on a local disk, or in a bucket"
        ) from error
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def _must_be(path: Path, read: str, sha256: str) -> None:
    if read != sha256:
        raise FileChanged(f"{path} changed while it was landed; nothing of it is left", next_step="land it again when its writer is done")


def _sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_object(key: str, seen: os.stat_result) -> Object:
    # ctime, since anyone can set mtime: a file that was overwritten in place always has another ETag.
    etag = f"{seen.st_ctime_ns:x}-{seen.st_ino:x}-{seen.st_size:x}"
    return Object(key, seen.st_size, etag, datetime.fromtimestamp(seen.st_mtime, UTC))


def _sorted_files(folder: Path, prefix: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """The files below a folder in the order in which S3 would list them: by the bytes of the whole key, so "a.txt" before "a/b".

    Links are followed, but not into a folder that they stand in (its device and inode are `above`): that has no end.
    """
    try:
        seen = folder.stat()
        with os.scandir(folder) as found:
            entries = [(entry.name + "/" if _is(entry.is_dir) else entry.name, entry) for entry in found]
    except (FileNotFoundError, NotADirectoryError):
        return
    here = (seen.st_dev, seen.st_ino)
    if here in above:
        return
    for name, entry in sorted(entries, key=lambda pair: os.fsencode(pair[0])):
        if name.endswith("/"):
            yield from _sorted_files(Path(entry.path), prefix + name, above | {here})
        elif not name.endswith(UNFINISHED) and _is(entry.is_file):
            yield prefix + name, entry


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError as error:
        if error.errno != errno.ELOOP:  # a link to itself is neither a file nor a folder
            raise
        return False
