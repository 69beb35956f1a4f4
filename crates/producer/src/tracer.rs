//! `POST /tracer`: publishes a tracer message and answers when it is confirmed.
//!
//! Takes `{"kind":"normal"|"poison"}` and answers 200 with [`TracerReceipt`], or with `{"error"}`: 400 for another body,
//! 502 when the broker returned or refused the message or the connection was lost, 503 when nothing was published, 504 when
//! there was no confirm in time.
//!
//! [`TracerReceipt`]: messaging::publisher::TracerReceipt

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};
use messaging::{
    publisher::{PublisherHandle, TracerError},
    tracer::TracerKind,
};
use serde::Deserialize;
use serde_json::json;

/// The producer's own routes.
pub fn routes(publisher: PublisherHandle) -> Router {
    Router::new()
        .route("/tracer", post(send))
        .with_state(publisher)
}

#[derive(Deserialize)]
struct Request {
    kind: TracerKind,
}

async fn send(State(publisher): State<PublisherHandle>, body: Bytes) -> Response {
    let request: Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            let text = format!(r#"expected {{"kind":"normal"}} or {{"kind":"poison"}}: {error}"#);
            return refuse(StatusCode::BAD_REQUEST, &text);
        }
    };
    match publisher.publish_tracer(request.kind).await {
        Ok(receipt) => Json(receipt).into_response(),
        Err(error) => refuse(status(&error), &error.to_string()),
    }
}

fn status(error: &TracerError) -> StatusCode {
    match error {
        TracerError::NotConnected { .. } | TracerError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        TracerError::Returned | TracerError::Nacked | TracerError::Lost => StatusCode::BAD_GATEWAY,
        TracerError::Overdue { .. } => StatusCode::GATEWAY_TIMEOUT,
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}
