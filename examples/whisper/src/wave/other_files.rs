//! Names of what is no WAV file.

/// How other files begin: at which byte, with what, and what they are called.
const SIGNATURES: [(usize, &[u8], &str); 25] = [
    (8, b"AVI ", "an AVI video"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"RIFX", "a RIFX file, whose numbers have their highest byte first"),
    (0, b"riff\x2e\x91\xcf\x11", "a Sony Wave64 file"),
    (8, b"AIFF", "an AIFF file"),
    (8, b"AIFC", "an AIFF-C file"),
    (0, b"caff", "a Core Audio file (CAF)"),
    (0, b".snd", "an AU file"),
    (0, b"fLaC", "a FLAC file"),
    (0, b"OggS", "an Ogg file (Opus or Vorbis, say)"),
    (0, b"ID3", "an MP3 file"),
    (0, b"\xff\xfb", "an MP3 file"),
    (0, b"\xff\xf3", "an MP3 file"),
    (0, b"\xff\xf2", "an MP3 file"),
    (0, b"\xff\xf1", "an AAC file"),
    (0, b"\xff\xf9", "an AAC file"),
    (4, b"ftyp", "an MP4 file (M4A, say)"),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
    (0, b"\x30\x26\xb2\x75", "a Windows Media file (WMA, say)"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"wvpk", "a WavPack file"),
    (0, b"MThd", "a MIDI file, which holds notes and no sound"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"<", "a web page or XML"),
];

/// What a file is that begins with these bytes, twelve or fewer, and what it should be.
pub(super) fn describe(start: &[u8]) -> String {
    if start.is_empty() {
        return "it is empty".into();
    }
    let is = |&&(at, signature, _): &&(usize, &[u8], &str)| {
        start.get(at..at + signature.len()).is_some_and(|bytes| bytes == signature)
    };
    if let Some((_, _, name)) = SIGNATURES.iter().find(is) {
        return format!("it is {name}; `ffmpeg -i FILE clip.wav` makes a WAV file of what holds sound");
    }
    if "RIFF".as_bytes().starts_with(&start[..start.len().min(4)]) && start.len() < 12 {
        return format!("it breaks off after {} bytes", start.len());
    }
    format!("it begins with \"{}\", and not as RIFF or RF64 with WAVE", start.escape_ascii())
}
