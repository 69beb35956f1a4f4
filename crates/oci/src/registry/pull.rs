//! Pulling: each blob as a stream into its file, going on where an earlier pull stopped.

use std::io;

use futures_util::StreamExt as _;
use oci_client::{RegistryOperation, client::BlobResponse};

use super::{
    Moved, Registry,
    failure::{Fault, stream},
    session::{Session, Tries},
};
use crate::{
    Artifact, BlobWriter, Digest, Layout, OciError, Reference,
    artifact::MAX_LAYER_BYTES,
    manifest::{Descriptor, Index, LAYER_GZIP, Manifest, Platform, parse},
};

/// How often a blob that broke off is asked for again from there, if something came.
const RESUMES: u32 = 3;

impl Registry {
    /// Pulls an artifact of one layer, checked against its digests.
    ///
    /// # Errors
    /// As [`Registry::resolve`]; [`OciError::Mismatch`] for a manifest or layer that is not the one named;
    /// [`OciError::Malformed`] for an image, an index and a layer larger than 64 MiB.
    pub async fn pull_artifact(&self, reference: &Reference) -> Result<Artifact, OciError> {
        let session = self.session(reference).await?;
        let (content, _) = session.get_manifest(&reference.at()).await?;
        let what = session.manifest_name(&reference.at());
        let manifest: Manifest = parse(&what, &content)?;
        let layer = match &manifest.layers[..] {
            [layer] if layer.media_type == LAYER_GZIP => layer,
            layers => {
                return Err(OciError::malformed(
                    what,
                    format!(
                        "it has {} layers, expected one of type {LAYER_GZIP}",
                        layers.len()
                    ),
                ));
            }
        };
        if layer.size > MAX_LAYER_BYTES {
            return Err(OciError::malformed(
                what,
                format!(
                    "its layer has {} bytes, more than {MAX_LAYER_BYTES}",
                    layer.size
                ),
            ));
        }
        let mut bytes = Vec::new();
        session.pull(layer, &mut bytes).await?;
        let found = Digest::of(&bytes);
        if found != layer.digest {
            return Err(OciError::Mismatch {
                what: session.blob_name(layer.digest),
                expected: layer.digest,
                found,
            });
        }
        Ok(Artifact::pulled(content, bytes, found))
    }

    /// Pulls an image into a layout and lists it there under the reference. Of an index the platform's image comes, or
    /// all without one, and the index itself, so that the digest by which it was asked stays good.
    ///
    /// # Errors
    /// As [`Registry::resolve`]; [`OciError::NoPlatform`]; [`OciError::Mismatch`] and [`OciError::Malformed`] for what is
    /// not the one named; [`OciError::Busy`] and [`OciError::File`] of the layout.
    pub async fn pull_image(
        &self,
        reference: &Reference,
        layout: &Layout,
        platform: Option<&Platform>,
    ) -> Result<Moved, OciError> {
        let session = self.session(reference).await?;
        let at = reference.at();
        let (content, media_type) = session.get_manifest(&at).await?;
        let image = Descriptor::of(&media_type, &content);
        let mut moved = Moved {
            digest: image.digest,
            blobs: 0,
            bytes: 0,
        };
        if image.is_index() {
            let index: Index = parse(&session.manifest_name(&at), &content)?;
            for entry in choose(reference, index, platform)? {
                let (content, media_type) = session.get_manifest(&entry.digest.to_string()).await?;
                session.layers(&content, layout, &mut moved).await?;
                layout.add(&media_type, &content)?;
            }
        } else {
            session.layers(&content, layout, &mut moved).await?;
        }
        layout.add(&media_type, &content)?;
        // Last: what is listed is whole.
        layout.set_image(&reference.to_string(), image)?;
        Ok(moved)
    }
}

/// The manifests to pull of an index.
fn choose(
    reference: &Reference,
    index: Index,
    platform: Option<&Platform>,
) -> Result<Vec<Descriptor>, OciError> {
    let Some(wanted) = platform else {
        return Ok(index.manifests);
    };
    let known = index
        .manifests
        .iter()
        .filter_map(|entry| entry.platform.as_ref());
    let known = known.map(Platform::to_string).collect();
    let found = index.manifests.into_iter().find(|entry| {
        let platform = entry.platform.as_ref();
        platform.is_some_and(|platform| platform.satisfies(wanted))
    });
    match found {
        Some(entry) => Ok(vec![entry]),
        None => Err(OciError::NoPlatform {
            image: reference.to_string(),
            platform: wanted.to_string(),
            known,
        }),
    }
}

/// Where a blob goes.
trait Sink {
    /// How many bytes are there: where to go on.
    fn written(&self) -> u64;
    /// Forgets what is there.
    fn restart(&mut self) -> Result<(), OciError>;
    /// Takes the next piece.
    fn push(&mut self, piece: &[u8]) -> Result<(), OciError>;
}

impl Sink for Vec<u8> {
    fn written(&self) -> u64 {
        self.len() as u64
    }

    fn restart(&mut self) -> Result<(), OciError> {
        self.clear();
        Ok(())
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), OciError> {
        self.extend_from_slice(piece);
        Ok(())
    }
}

impl Sink for BlobWriter {
    fn written(&self) -> u64 {
        self.written()
    }

    fn restart(&mut self) -> Result<(), OciError> {
        self.restart()
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), OciError> {
        self.push(piece)
    }
}

impl Session<'_> {
    /// Pulls the blobs of a manifest that the layout does not have.
    async fn layers(
        &self,
        manifest: &[u8],
        layout: &Layout,
        moved: &mut Moved,
    ) -> Result<(), OciError> {
        let what = format!("the manifest {}", Digest::of(manifest));
        let manifest: Manifest = parse(&what, manifest)?;
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            // Reads what an earlier pull left.
            let writer = blocking({
                let (layout, blob) = (layout.clone(), blob.clone());
                move || layout.writer(&blob)
            });
            let Some(mut writer) = writer.await? else {
                continue;
            };
            let before = writer.written();
            if let Err(error) = self.pull(blob, &mut writer).await {
                // What broke off is gone on with; what is wrong is not.
                if let OciError::Mismatch { .. } | OciError::Malformed { .. } = error {
                    writer.discard()?;
                }
                return Err(error);
            }
            let what = self.blob_name(blob.digest);
            // Waits for the disk.
            blocking(move || writer.finish(&what)).await?;
            moved.blobs += 1;
            moved.bytes += blob.size - before.min(blob.size);
        }
        Ok(())
    }

    /// Streams the rest of a blob into the sink, which is left as far as it came.
    async fn pull(&self, blob: &Descriptor, sink: &mut (impl Sink + Send)) -> Result<(), OciError> {
        let mut resumes = 0;
        while sink.written() < blob.size {
            let before = sink.written();
            match self.pull_once(blob, sink).await {
                Ok(()) => return Ok(()),
                Err(OciError::Unreachable { .. })
                    if resumes < RESUMES && sink.written() > before =>
                {
                    resumes += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn pull_once(
        &self,
        blob: &Descriptor,
        sink: &mut (impl Sink + Send),
    ) -> Result<(), OciError> {
        let registry = self.reference.registry();
        let (what, digest) = (self.blob_name(blob.digest), blob.digest.to_string());
        let from = sink.written();
        let library = &self.client.library;
        let mut tries = Tries::start();
        let answer = loop {
            let answer = match from {
                0 => library
                    .pull_blob_stream(&self.repository, digest.as_str())
                    .await
                    .map(BlobResponse::Full),
                from => {
                    library
                        .pull_blob_stream_partial(&self.repository, digest.as_str(), from, None)
                        .await
                }
            };
            match answer {
                Ok(answer) => break answer,
                Err(error) => {
                    let fault = Fault::library(registry, &what, error);
                    self.again(&mut tries, &what, RegistryOperation::Pull, fault)
                        .await?;
                }
            }
        };
        let mut pieces = match answer {
            BlobResponse::Partial(pieces) => pieces,
            BlobResponse::Full(pieces) => {
                sink.restart()?;
                pieces
            }
        };
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error: io::Error| stream(registry, &what, error))?;
            if sink.written() + piece.len() as u64 > blob.size {
                return Err(OciError::malformed(
                    what,
                    format!("it is longer than its {} bytes", blob.size),
                ));
            }
            sink.push(&piece)?;
        }
        Ok(())
    }
}

/// Runs what waits for the disk where it keeps nobody waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OciError> + Send + 'static,
) -> Result<T, OciError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
