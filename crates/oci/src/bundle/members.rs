//! Reading a bundle: where its members are, and each of them from its own frames.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek as _, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use tar::Header;
use zeekstd::SeekTable;
use zstd::stream::read::Decoder;

use super::{
    checksums::{self, Checked},
    member::{self, HEADER_BYTES},
};
use crate::{BlobReader, Digest, OciError, archive::file_header, manifest::Descriptor};

/// What the table of frames ends with: how many there are, and what marks it (zstd's `contrib/seekable_format`).
const TABLE_END_BYTES: u64 = 9;

/// The members of a bundle.
#[derive(Debug)]
pub(super) struct Members {
    path: PathBuf,
    table: SeekTable,
    members: BTreeMap<String, Member>,
}

/// A member's content size, the frames that it takes, and their checksum once it is known.
#[derive(Clone, Debug)]
struct Member {
    size: u64,
    frames: Range<u32>,
    checksum: Option<u32>,
}

impl Members {
    /// Finds the members of a file, from their headers.
    pub(super) fn scan(path: &Path) -> Result<Self, OciError> {
        let mut file = File::open(path).map_err(OciError::file("read", path))?;
        let metadata = file.metadata().map_err(OciError::file("read", path))?;
        if metadata.is_dir() {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(OciError::file("read", path)(error));
        }
        let length = metadata.len();
        let table = SeekTable::from_seekable(&mut file).map_err(|error| {
            // What the library says of other files helps nobody; that a disk cannot be read does.
            let why = match error.is_io() && length >= TABLE_END_BYTES {
                true => format!(" ({error})"),
                false => String::new(),
            };
            let reason = format!(
                "it does not end with a table of its frames{why}: it is cut short, or no bundle"
            );
            OciError::malformed(path.display().to_string(), reason)
        })?;
        let mut members = Self {
            path: path.to_owned(),
            table,
            members: BTreeMap::new(),
        };
        let mut found = Vec::new();
        let end = members.table.num_frames().saturating_sub(1);
        let mut frame = 0;
        while frame < end {
            let (name, member) = members.member_at(frame)?;
            frame = member.frames.end;
            found.push((name, member));
        }
        let mut checksums = members.checksums(&mut file, length, found.len() + 1)?;
        let of_end = checksums.pop();
        for ((name, mut member), checksum) in found.into_iter().zip(checksums) {
            member.checksum = Some(checksum);
            if members.members.insert(name.clone(), member).is_some() {
                return Err(members.malformed(format!("it has {name} twice")));
            }
        }
        let what = members.name("the end");
        let mut last = Vec::new();
        members
            .frames(&what, frame..frame.saturating_add(1), of_end)?
            .take(HEADER_BYTES * 4)
            .read_to_end(&mut last)
            .map_err(|error| OciError::content(&what, error))?;
        let said = members.table.frame_size_decomp(frame).ok();
        if last != member::END || said != Some(member::END.len() as u64) {
            return Err(members.malformed("its archive has another end than it should"));
        }
        Ok(members)
    }

    /// The checksums of as many members, which stand between the frames and their table. The table must be written as it is
    /// written here: its reader passes over some bits.
    fn checksums(
        &self,
        file: &mut File,
        length: u64,
        members: usize,
    ) -> Result<Vec<u32>, OciError> {
        let from = self.table.size_comp();
        let mut table = self.table.clone().into_serializer();
        let mut expected = vec![0; table.encoded_len()];
        table.write_into(&mut expected);
        let bytes = checksums::frame_bytes(members);
        let whole = from.saturating_add(bytes + expected.len() as u64);
        if whole != length {
            return Err(self.malformed(format!("it should have {whole} bytes, and has {length}")));
        }
        let mut frame = Vec::new();
        file.seek(SeekFrom::Start(from))
            .and_then(|_| file.read_to_end(&mut frame))
            .map_err(OciError::file("read", &self.path))?;
        let found = frame.split_off(
            usize::try_from(bytes)
                .unwrap_or(usize::MAX)
                .min(frame.len()),
        );
        if found != expected {
            return Err(self.malformed("the table of its frames is damaged"));
        }
        checksums::from_frame(&frame).ok_or_else(|| self.malformed("its checksums are damaged"))
    }

    /// Every blob, in the order of their digests.
    pub(super) fn blobs(&self) -> impl Iterator<Item = Descriptor> {
        self.members.iter().filter_map(|(name, member)| {
            let digest = member::blob_digest(name)?;
            Some(Descriptor::new("", digest, member.size))
        })
    }

    pub(super) fn digests(&self) -> impl Iterator<Item = Digest> {
        self.members
            .keys()
            .filter_map(|name| member::blob_digest(name))
    }

    /// The size of a blob that is there.
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        let member = self.members.get(&member::blob_name(digest))?;
        Some(member.size)
    }

    /// A blob, checked on the way.
    pub(super) fn blob(&self, blob: &Descriptor) -> Result<BlobReader, OciError> {
        let name = member::blob_name(&blob.digest);
        let found = self.size(&blob.digest);
        if found != Some(blob.size) {
            let reason = match found {
                Some(found) => format!("it has {found} bytes, expected {}", blob.size),
                None => "it is not there".to_owned(),
            };
            return Err(OciError::malformed(self.name(&name), reason));
        }
        Ok(BlobReader::new(self.name(&name), self.file(&name)?, blob))
    }

    /// A member's content.
    pub(super) fn file(&self, name: &str) -> Result<impl Read + Send + use<>, OciError> {
        let member = self
            .members
            .get(name)
            .ok_or_else(|| self.malformed(format!("it has no {name}")))?;
        let what = self.name(name);
        let frames = self.frames(&what, member.frames.clone(), member.checksum)?;
        Content::new(frames, member.size).map_err(|error| OciError::content(&what, error))
    }

    pub(super) fn name(&self, member: &str) -> String {
        format!("{member} of {}", self.path.display())
    }

    pub(super) fn malformed(&self, reason: impl ToString) -> OciError {
        OciError::malformed(self.path.display().to_string(), reason)
    }

    /// The member whose header begins the frame.
    fn member_at(&self, frame: u32) -> Result<(String, Member), OciError> {
        let what = format!("the member in frame {frame} of {}", self.path.display());
        let malformed = |reason: String| OciError::malformed(&what, reason);
        let mut header = Header::new_gnu();
        let end = self.table.num_frames();
        self.frames(&what, frame..end, None)?
            .read_exact(header.as_mut_bytes())
            .map_err(|error| OciError::content(&what, error))?;
        let text = |error: io::Error| malformed(format!("its header is damaged: {error}"));
        let path = header.path().map_err(text)?;
        let name = path.to_str().unwrap_or_default().to_owned();
        let size = header.entry_size().map_err(text)?;
        let is_known = matches!(&name[..], "oci-layout" | "index.json")
            || member::blob_digest(&name).is_some();
        let expected = file_header(&name, size).map_err(text)?;
        if !is_known || expected.as_bytes() != header.as_bytes() {
            return Err(malformed(format!(
                "its header is not the one of a bundle's member `{}`",
                name.escape_debug()
            )));
        }
        let mut left = size
            .checked_add(HEADER_BYTES + member::filling(size))
            .ok_or_else(|| malformed(format!("it has {size} bytes")))?;
        let mut next = frame;
        while left > 0 {
            let bytes = self
                .table
                .frame_size_decomp(next)
                .ok()
                .filter(|bytes| *bytes > 0);
            left = bytes
                .and_then(|bytes| left.checked_sub(bytes))
                .ok_or_else(|| malformed("it does not end with a frame".to_owned()))?;
            next += 1;
        }
        let frames = frame..next;
        Ok((
            name,
            Member {
                size,
                frames,
                checksum: None,
            },
        ))
    }

    /// The content of frames after each other, with the checksum that they must have together.
    fn frames(
        &self,
        what: &str,
        frames: Range<u32>,
        checksum: Option<u32>,
    ) -> Result<Frames, OciError> {
        let place = |error: zeekstd::Error| self.malformed(error);
        let from = self.table.frame_start_comp(frames.start).map_err(place)?;
        let to = match frames.end.checked_sub(1) {
            Some(last) => self.table.frame_end_comp(last).map_err(place)?,
            None => from,
        };
        let open = || -> io::Result<Frames> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(from))?;
            let compressed = Checked::new(file.take(to - from));
            let compressed = BufReader::with_capacity(256 << 10, compressed);
            Ok(Frames {
                what: what.to_owned(),
                checksum,
                decoder: Decoder::with_buffer(compressed)?,
            })
        };
        open().map_err(OciError::file("read", &self.path))
    }
}

/// The decompressed bytes of frames. In place of their end there is an error where they are not what was written.
struct Frames {
    what: String,
    checksum: Option<u32>,
    decoder: Decoder<'static, BufReader<Checked<io::Take<File>>>>,
}

impl Frames {
    fn malformed(&self, reason: impl ToString) -> io::Error {
        io::Error::other(OciError::malformed(&self.what, reason))
    }
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer).map_err(|error| {
            // What zstd says, and an end in the middle of a frame, have no number of the system.
            match error.raw_os_error() {
                Some(_) => error,
                None => self.malformed(format!("its compressed form is damaged: {error}")),
            }
        })?;
        if read == 0
            && !buffer.is_empty()
            && let Some(expected) = self.checksum
            && self.decoder.get_ref().get_ref().checksum() != expected
        {
            return Err(self.malformed("its compressed form has another checksum"));
        }
        Ok(read)
    }
}

/// A member's content. With its last byte the rest of its frames is read, too: what fills the block, and the checksum.
struct Content {
    frames: Frames,
    left: u64,
}

impl Content {
    fn new(mut frames: Frames, size: u64) -> io::Result<Self> {
        frames.read_exact(&mut [0; HEADER_BYTES as usize])?;
        let mut content = Self { frames, left: size };
        if size == 0 {
            content.end()?;
        }
        Ok(content)
    }

    /// Reads what follows the content: nothing but zeros.
    fn end(&mut self) -> io::Result<()> {
        let mut rest = Vec::new();
        (&mut self.frames)
            .take(HEADER_BYTES)
            .read_to_end(&mut rest)?;
        if rest.iter().any(|byte| *byte != 0) {
            return Err(self.frames.malformed("something follows its content"));
        }
        Ok(())
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let read = self.frames.read(&mut buffer[..most])?;
        self.left -= read as u64;
        if self.left == 0 {
            self.end()?;
        }
        Ok(read)
    }
}
