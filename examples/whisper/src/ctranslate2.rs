//! Weights as CTranslate2 keeps them: `model.bin`, version 6. Only its header is read at first; a variable's data are read when they are
//! asked for, and no longer kept than that.
//!
//! The file begins with its version, the name of the kind of model and its revision, and the number of variables. Each variable is a
//! name, a rank, sizes, a type, a number of bytes, and these bytes. Names of variables that stand for others follow at the end. Strings
//! have a length of 16 bits and a final zero; numbers are little-endian.

use crate::model::sizes::{DECODER_POSITIONS, ENCODER_POSITIONS, HEADS, HIDDEN_WIDTH, LAYERS, VOCABULARY, WIDTH};
use crate::{Error, Result};
use burn::tensor::{DType, Shape, TensorData};
use clustered_attention_models::weights::{lazy_tensor, Tensor};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The version of the format that is read.
pub const VERSION: u32 = 6;
/// The kind of model that is read.
const KIND: &str = "WhisperSpec";
/// More variables than any such model has; the bound keeps a damaged count from being taken for one.
const MAXIMUM_VARIABLES: u32 = 1 << 16;
/// The largest rank of a variable.
const MAXIMUM_RANK: u8 = 8;

/// An open file, of which the header was read.
pub struct Ctranslate2File {
    path: PathBuf,
    file: Arc<Mutex<File>>,
    variables: HashMap<String, Variable>,
}

/// Where a variable lies.
#[derive(Debug, Clone)]
struct Variable {
    sizes: Vec<usize>,
    kind: u8,
    offset: u64,
    bytes: u64,
}

/// A tensor under its name in the hub's files, and the rows of a variable that it is.
struct Part {
    name: String,
    variable: String,
    sizes: Vec<usize>,
    first_row: usize,
    rows_in_variable: usize,
}

impl Ctranslate2File {
    /// Reads the header of a file. Takes time and memory for 148 names, whatever the size of the weights.
    ///
    /// # Errors
    /// The file cannot be read, breaks off, or is of another format, version or kind of model.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::read(path))?;
        let length = file.metadata().map_err(Error::read(path))?.len();
        let mut header = Header { path, length, position: 0, reader: BufReader::new(&file) };
        let version = header.u32("its version")?;
        if version != VERSION {
            return Err(header.wrong(format!("its version is {version}")));
        }
        let kind = header.string("the kind of model")?;
        if kind != KIND {
            return Err(header.wrong(format!("it holds a {kind:?}, not a {KIND:?}")));
        }
        header.u32("its revision")?;
        let count = header.u32("the number of variables")?;
        if count > MAXIMUM_VARIABLES {
            return Err(header.wrong(format!("it announces {count} variables")));
        }
        let mut variables = HashMap::new();
        for _ in 0..count {
            let (name, variable) = header.variable()?;
            variables.insert(name, variable);
        }
        Ok(Self { path: path.to_owned(), file: Arc::new(Mutex::new(file)), variables })
    }

    /// The weights of Whisper tiny.en under the names that they have in the hub's files (`encoder.layers.0.self_attn.q_proj.weight`),
    /// in their own type and of the sizes that they have there. Data are read from the file when a tensor is drawn.
    ///
    /// # Errors
    /// A variable is missing, of other sizes, or quantised.
    pub fn tensors(&self) -> Result<Vec<Tensor>> {
        for side in ["encoder", "decoder"] {
            let heads = self.small_number(&format!("{side}/num_heads"))?;
            if heads != HEADS {
                return Err(self.not_tiny_en(format!("its {side} has {heads} heads, not {HEADS}")));
            }
        }
        parts().into_iter().map(|part| self.tensor(part)).collect()
    }

    fn tensor(&self, part: Part) -> Result<Tensor> {
        let Part { name, variable: variable_name, sizes, first_row, rows_in_variable } = part;
        let variable = self.variable(&variable_name)?;
        let mut needed = sizes.clone();
        needed[0] = rows_in_variable;
        if variable.sizes != needed {
            let reason = format!("{variable_name} has the sizes {:?}, not {needed:?}", variable.sizes);
            return Err(self.not_tiny_en(reason));
        }
        let dtype = match variable.kind {
            0 => DType::F32,
            4 => DType::F16,
            5 => DType::BF16,
            kind => {
                let reason = format!("{variable_name} is quantised (type {kind}); needed is f16, bf16 or f32");
                return Err(self.not_tiny_en(reason));
            }
        };
        let row_bytes = variable.bytes / rows_in_variable as u64;
        let offset = variable.offset + row_bytes * first_row as u64;
        let bytes = row_bytes as usize * sizes[0];
        let file = Arc::clone(&self.file);
        let shape = Shape::from(sizes);
        Ok(lazy_tensor(name, dtype, shape.clone(), move || {
            let data = read_at(&file, offset, bytes).map_err(|error| error.to_string())?;
            Ok(TensorData::from_bytes_vec(data, shape.clone(), dtype))
        }))
    }

    /// A variable that is one 16-bit number.
    fn small_number(&self, name: &str) -> Result<usize> {
        let variable = self.variable(name)?;
        if !(variable.sizes.is_empty() && variable.bytes == 2) {
            return Err(self.not_tiny_en(format!("{name} is not one number of 16 bits")));
        }
        let bytes = read_at(&self.file, variable.offset, 2).map_err(Error::read(&self.path))?;
        Ok(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    }

    fn variable(&self, name: &str) -> Result<&Variable> {
        self.variables.get(name).ok_or_else(|| self.not_tiny_en(format!("it has no variable {name}")))
    }

    fn not_tiny_en(&self, reason: String) -> Error {
        Error::NotTinyEn { path: self.path.clone(), reason }
    }
}

fn read_at(file: &Mutex<File>, offset: u64, bytes: usize) -> std::io::Result<Vec<u8>> {
    // A panic while reading leaves nothing behind but a position, which is set anew here.
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(offset))?;
    let mut data = vec![0; bytes];
    file.read_exact(&mut data)?;
    Ok(data)
}

/// The header as it is read, with every length held against the file's.
struct Header<'a> {
    path: &'a Path,
    length: u64,
    position: u64,
    reader: BufReader<&'a File>,
}

impl Header<'_> {
    fn wrong(&self, reason: String) -> Error {
        Error::NotCtranslate2 { path: self.path.to_owned(), reason }
    }

    fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        self.need(N as u64, what)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(Error::read(self.path))?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn need(&self, bytes: u64, what: &str) -> Result<()> {
        if bytes <= self.length - self.position {
            return Ok(());
        }
        let (position, left) = (self.position, self.length - self.position);
        Err(self.wrong(format!("it breaks off in {what}: {bytes} bytes are announced at {position}, {left} are there")))
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.bytes(what)?))
    }

    fn string(&mut self, what: &str) -> Result<String> {
        let length = u16::from_le_bytes(self.bytes(what)?);
        self.need(u64::from(length), what)?;
        let mut bytes = vec![0; usize::from(length)];
        self.reader.read_exact(&mut bytes).map_err(Error::read(self.path))?;
        self.position += u64::from(length);
        if bytes.pop() != Some(0) {
            return Err(self.wrong(format!("{what}, at {}, does not end with a zero", self.position)));
        }
        String::from_utf8(bytes).map_err(|_| self.wrong(format!("{what}, at {}, is no text", self.position)))
    }

    fn variable(&mut self) -> Result<(String, Variable)> {
        let name = self.string("a variable's name")?;
        let [rank] = self.bytes(&name)?;
        if rank > MAXIMUM_RANK {
            return Err(self.wrong(format!("{name} has the rank {rank}")));
        }
        let mut sizes = Vec::with_capacity(usize::from(rank));
        for _ in 0..rank {
            sizes.push(self.u32(&name)? as usize);
        }
        let [kind] = self.bytes(&name)?;
        let bytes = u64::from(self.u32(&name)?);
        self.need(bytes, &name)?;
        let width = match kind {
            0 | 3 => 4,
            1 => 1,
            2 | 4 | 5 => 2,
            kind => return Err(self.wrong(format!("{name} is of the unknown type {kind}"))),
        };
        let elements = sizes.iter().try_fold(width, |product: u64, &size| product.checked_mul(size as u64));
        if elements != Some(bytes) {
            return Err(self.wrong(format!("{name} of the sizes {sizes:?} and type {kind} has {bytes} bytes")));
        }
        let variable = Variable { sizes, kind, offset: self.position, bytes };
        self.reader.seek_relative(bytes as i64).map_err(Error::read(self.path))?;
        self.position += bytes;
        Ok((name, variable))
    }
}

/// All tensors of the model. Projections that share their input are one variable in the file, one below the other.
fn parts() -> Vec<Part> {
    let mut parts = Vec::new();
    let mut add = |name: String, variable: String, sizes: &[usize], first_row: usize, rows_in_variable: usize| {
        parts.push(Part { name, variable, sizes: sizes.to_vec(), first_row, rows_in_variable });
    };
    let mut whole = |name: &str, variable: &str, sizes: &[usize]| add(name.into(), variable.into(), sizes, 0, sizes[0]);
    whole("decoder.embed_tokens.weight", "decoder/embeddings/weight", &[VOCABULARY, WIDTH]);
    for (side, positions) in [("encoder", ENCODER_POSITIONS), ("decoder", DECODER_POSITIONS)] {
        let encodings = format!("{side}/position_encodings/encodings");
        whole(&format!("{side}.embed_positions.weight"), &encodings, &[positions, WIDTH]);
    }
    for (convolution, input) in [("conv1", crate::log_mel::BANDS), ("conv2", WIDTH)] {
        whole(&format!("encoder.{convolution}.weight"), &format!("encoder/{convolution}/weight"), &[WIDTH, input, 3]);
        whole(&format!("encoder.{convolution}.bias"), &format!("encoder/{convolution}/bias"), &[WIDTH]);
    }
    let mut norms = vec![("encoder.layer_norm".into(), "encoder/layer_norm".into())];
    norms.push(("decoder.layer_norm".into(), "decoder/layer_norm".into()));
    // Projections: name, variable, sizes of the weight, first row, rows of the variable, whether there is a bias.
    let mut linear = Vec::new();
    for (side, layer) in ["encoder", "decoder"].iter().flat_map(|side| (0..LAYERS).map(move |layer| (side, layer))) {
        let (name, variable) = (format!("{side}.layers.{layer}"), format!("{side}/layer_{layer}"));
        norms.push((format!("{name}.self_attn_layer_norm"), format!("{variable}/self_attention/layer_norm")));
        norms.push((format!("{name}.final_layer_norm"), format!("{variable}/ffn/layer_norm")));
        let mut projections = vec![
            ("self_attn.q_proj", "self_attention/linear_0", 0, 3, true),
            ("self_attn.k_proj", "self_attention/linear_0", 1, 3, false),
            ("self_attn.v_proj", "self_attention/linear_0", 2, 3, true),
            ("self_attn.out_proj", "self_attention/linear_1", 0, 1, true),
        ];
        if *side == "decoder" {
            norms.push((format!("{name}.encoder_attn_layer_norm"), format!("{variable}/attention/layer_norm")));
            projections.extend([
                ("encoder_attn.q_proj", "attention/linear_0", 0, 1, true),
                ("encoder_attn.k_proj", "attention/linear_1", 0, 2, false),
                ("encoder_attn.v_proj", "attention/linear_1", 1, 2, true),
                ("encoder_attn.out_proj", "attention/linear_2", 0, 1, true),
            ]);
        }
        for (projection, fused, index, count, bias) in projections {
            let (name, variable) = (format!("{name}.{projection}"), format!("{variable}/{fused}"));
            linear.push((name, variable, [WIDTH, WIDTH], index * WIDTH, count * WIDTH, bias));
        }
        for (map, fused, sizes) in
            [("fc1", "linear_0", [HIDDEN_WIDTH, WIDTH]), ("fc2", "linear_1", [WIDTH, HIDDEN_WIDTH])]
        {
            linear.push((format!("{name}.{map}"), format!("{variable}/ffn/{fused}"), sizes, 0, sizes[0], true));
        }
    }
    for (name, variable) in norms {
        add(format!("{name}.weight"), format!("{variable}/gamma"), &[WIDTH], 0, WIDTH);
        add(format!("{name}.bias"), format!("{variable}/beta"), &[WIDTH], 0, WIDTH);
    }
    for (name, variable, sizes, first_row, rows, bias) in linear {
        add(format!("{name}.weight"), format!("{variable}/weight"), &sizes, first_row, rows);
        if bias {
            add(format!("{name}.bias"), format!("{variable}/bias"), &sizes[..1], first_row, rows);
        }
    }
    parts
}
