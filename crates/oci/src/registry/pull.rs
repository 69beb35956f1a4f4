//! Pulling: several blobs beside each other, each as a stream into its file, going on where an earlier pull stopped.

use oci_client::RegistryOperation;
use reqwest::{Method, StatusCode, header};

use super::{Moved, PARALLEL, Registry, failure::broken, session::Session, side_by_side};
use crate::{
    Artifact, BlobWriter, Digest, Layout, Meter, OciError, Parts, Reference,
    manifest::{Descriptor, Index, Manifest, Platform, parse},
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
        let layer = Artifact::layer_of(&what, &content)?;
        let mut bytes = Vec::new();
        session.pull(&layer, &mut bytes, &Meter::default()).await?;
        let found = Digest::of(&bytes);
        if found != layer.digest {
            return Err(OciError::Mismatch {
                what: session.blob_name(layer.digest),
                expected: layer.digest,
                found,
            });
        }
        Ok(Artifact::checked(content, bytes, found))
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
        let parts = self.parts(reference, platform).await?;
        let fetches = parts
            .unique_blobs()
            .map(|blob| self.fetch(reference, blob, layout));
        let fetched = side_by_side(fetches, PARALLEL).await?;
        let mut image = None;
        for (manifest, content) in &parts.manifests {
            layout.add(&manifest.media_type, content)?;
            image = Some(manifest.clone());
        }
        let image = image
            .ok_or_else(|| OciError::malformed(reference.to_string(), "it has no manifest"))?;
        let moved = Moved {
            digest: image.digest,
            blobs: fetched.iter().flatten().count(),
            bytes: fetched.iter().flatten().sum(),
        };
        // Last: what is listed is whole.
        layout.set_image(&reference.to_string(), image)?;
        Ok(moved)
    }

    /// What an image consists of: its manifests, pulled, and the descriptors of its blobs.
    pub(crate) async fn parts(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<Parts, OciError> {
        let session = self.session(reference).await?;
        let at = reference.at();
        let (content, media_type) = session.get_manifest(&at).await?;
        let image = Descriptor::of(&media_type, &content);
        let mut parts = Parts {
            manifests: Vec::new(),
            blobs: Vec::new(),
            is_whole: true,
        };
        if image.is_index() {
            let index: Index = parse(&session.manifest_name(&at), &content)?;
            let listed = index.manifests.len();
            let chosen = choose(reference, index, platform)?;
            parts.is_whole = chosen.len() == listed;
            for entry in chosen {
                let (content, _) = session.get_manifest(&entry.digest.to_string()).await?;
                if entry.size != content.len() as u64 {
                    return Err(OciError::malformed(
                        session.manifest_name(&entry.digest.to_string()),
                        format!(
                            "it has {} bytes, its index says {}",
                            content.len(),
                            entry.size
                        ),
                    ));
                }
                let manifest: Manifest = parse(&entry.digest.to_string(), &content)?;
                parts.blobs.extend(manifest.into_blobs());
                parts.manifests.push((entry, content));
            }
        } else {
            let manifest: Manifest = parse(&session.manifest_name(&at), &content)?;
            parts.blobs.extend(manifest.into_blobs());
        }
        parts.manifests.push((image, content));
        Ok(parts)
    }

    /// Pulls a blob that the layout does not have. Returns how many bytes came; `None` where it was there.
    async fn fetch(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        layout: &Layout,
    ) -> Result<Option<u64>, OciError> {
        // Reads what an earlier pull left.
        let writer = blocking({
            let (layout, blob) = (layout.clone(), blob.clone());
            move || layout.writer(&blob)
        });
        let Some(mut writer) = writer.await? else {
            return Ok(None);
        };
        let before = writer.written();
        let meter = Meter::default();
        let what = match self.pull_blob(reference, blob, &mut writer, &meter).await {
            Ok(what) => what,
            Err(error) => {
                // What broke off is gone on with; what is wrong is not.
                if let OciError::Mismatch { .. } | OciError::Malformed { .. } = error {
                    writer.discard()?;
                }
                return Err(error);
            }
        };
        // Waits for the disk.
        blocking(move || writer.finish(&what)).await?;
        Ok(Some(blob.size - before.min(blob.size)))
    }

    /// Pulls what a sink lacks of a blob, which is left as far as it came. Returns what the blob is called in errors.
    pub(crate) async fn pull_blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        sink: &mut (impl Sink + Send),
        meter: &Meter,
    ) -> Result<String, OciError> {
        let session = self.session(reference).await?;
        session.pull(blob, sink, meter).await?;
        Ok(session.blob_name(blob.digest))
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
pub(crate) trait Sink {
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
    /// Streams the rest of a blob into the sink, which is left as far as it came.
    async fn pull(
        &self,
        blob: &Descriptor,
        sink: &mut (impl Sink + Send),
        meter: &Meter,
    ) -> Result<(), OciError> {
        let mut resumes = 0;
        while sink.written() < blob.size {
            let before = sink.written();
            match self.pull_once(blob, sink, meter).await {
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
        meter: &Meter,
    ) -> Result<(), OciError> {
        let what = self.blob_name(blob.digest);
        let from = sink.written();
        let request = || {
            let request = self.blob_request(Method::GET, &blob.digest);
            match from {
                0 => request,
                from => request.header(header::RANGE, format!("bytes={from}-")),
            }
        };
        let mut response = self.send(&what, RegistryOperation::Pull, request).await?;
        if from > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
            sink.restart()?;
        }
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|error| broken(self.reference.registry(), error.without_url()))?
        {
            if sink.written() + piece.len() as u64 > blob.size {
                return Err(OciError::malformed(
                    what,
                    format!("it is longer than its {} bytes", blob.size),
                ));
            }
            sink.push(&piece)?;
            meter.add(piece.len() as u64);
        }
        Ok(())
    }
}

/// Runs what waits for the disk where it keeps nobody waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OciError> + Send + 'static,
) -> Result<T, OciError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
