//! The words on the control socket: frames of a kind, a length and a payload.

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::model::run_event::RunEvent;

/// Version of these words. Client and daemon are of one installation, so another version is refused.
pub const VERSION: &str = concat!("rosterd.control/1 ", env!("CARGO_PKG_VERSION"));

/// Longest payload of one frame; what is longer goes in pieces.
pub const LONGEST_FRAME_BYTES: usize = 8 << 20;

/// What the client asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`].
    pub version: String,
    /// Digest of the client's configuration file.
    pub config: String,
    /// The command line without the program's name.
    pub arguments: Vec<String>,
    /// Whether somebody is there to be asked.
    pub interactive: bool,
    /// Whether standard output is a terminal. A client of another version need not say: it is refused for that.
    #[serde(default)]
    pub on_screen: bool,
    /// Who `sudo` says is behind it.
    pub sudo_user: Option<String>,
}

/// One frame, in either direction.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// To the daemon: a piece of a file that belongs to the request that follows.
    Attachment(Vec<u8>),
    /// To the daemon: what is asked for.
    Request(Request),
    /// To the daemon: the answer to a question.
    Answer(bool),
    /// For standard output.
    Out(Vec<u8>),
    /// A line for standard error.
    Say(String),
    /// Something happened in a run.
    Event(RunEvent),
    /// A question.
    Ask(String),
    /// A piece of a saved plan.
    Plan(Vec<u8>),
    /// The end, with the exit code.
    Exit(u8),
}

/// Writes one frame.
pub async fn write<W: AsyncWrite + Unpin>(to: &mut W, frame: &Frame) -> std::io::Result<()> {
    let (kind, payload): (u8, Vec<u8>) = match frame {
        Frame::Attachment(bytes) => (b'F', bytes.clone()),
        Frame::Request(request) => (b'Q', serde_json::to_vec(request)?),
        Frame::Answer(yes) => (b'Y', vec![u8::from(*yes)]),
        Frame::Out(bytes) => (b'O', bytes.clone()),
        Frame::Say(text) => (b'E', text.clone().into_bytes()),
        Frame::Event(event) => (b'V', serde_json::to_vec(event)?),
        Frame::Ask(question) => (b'A', question.clone().into_bytes()),
        Frame::Plan(bytes) => (b'P', bytes.clone()),
        Frame::Exit(code) => (b'X', vec![*code]),
    };
    let length = u32::try_from(payload.len()).map_err(std::io::Error::other)?;
    let mut framed = Vec::with_capacity(5 + payload.len());
    framed.push(kind);
    framed.extend_from_slice(&length.to_le_bytes());
    framed.extend_from_slice(&payload);
    to.write_all(&framed).await?;
    to.flush().await
}

/// Reads one frame; `None` where the other side has ended.
pub async fn read<R: AsyncRead + Unpin>(from: &mut R) -> std::io::Result<Option<Frame>> {
    let mut head = [0u8; 5];
    match from.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > LONGEST_FRAME_BYTES {
        return Err(std::io::Error::other(format!("a frame of {length} bytes is longer than allowed")));
    }
    let mut payload = vec![0u8; length];
    from.read_exact(&mut payload).await?;
    let text = |payload: Vec<u8>| String::from_utf8(payload).map_err(std::io::Error::other);
    let flag = |payload: &[u8]| payload.first().copied().unwrap_or_default();
    Ok(Some(match head[0] {
        b'F' => Frame::Attachment(payload),
        b'Q' => Frame::Request(serde_json::from_slice(&payload)?),
        b'Y' => Frame::Answer(flag(&payload) == 1),
        b'O' => Frame::Out(payload),
        b'E' => Frame::Say(text(payload)?),
        b'V' => Frame::Event(serde_json::from_slice(&payload)?),
        b'A' => Frame::Ask(text(payload)?),
        b'P' => Frame::Plan(payload),
        b'X' => Frame::Exit(flag(&payload)),
        other => return Err(std::io::Error::other(format!("a frame of unknown kind {other}"))),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_frame_arrives_as_it_was_sent() {
        let request = Request {
            version: VERSION.to_owned(),
            config: "d".to_owned(),
            arguments: vec!["--dry-run".to_owned()],
            interactive: true,
            on_screen: false,
            sudo_user: Some("ann".to_owned()),
        };
        let frames = [
            Frame::Attachment(vec![0, 1, 255]),
            Frame::Request(request),
            Frame::Answer(true),
            Frame::Answer(false),
            Frame::Out("é".as_bytes()[..1].to_vec()),
            Frame::Say("a line".to_owned()),
            Frame::Event(RunEvent::Planned { writes: 3 }),
            Frame::Ask("really?".to_owned()),
            Frame::Plan(Vec::new()),
            Frame::Exit(4),
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            write(&mut bytes, frame).await.unwrap();
        }
        let mut rest = bytes.as_slice();
        for frame in &frames {
            assert_eq!(read(&mut rest).await.unwrap().as_ref(), Some(frame));
        }
        assert_eq!(read(&mut rest).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_oversized_or_unknown_frame_is_refused() {
        let mut long = vec![b'O'];
        long.extend_from_slice(&u32::MAX.to_le_bytes());
        assert!(read(&mut long.as_slice()).await.is_err());
        assert!(read(&mut [b'?', 0, 0, 0, 0].as_slice()).await.is_err());
    }
}
