//! Fetches the models and the data of the examples: `clustered-attention-models [--verify] [ASSET...]`.

use clustered_attention_models::assets::{cache_folder, Asset, FOLDER_VARIABLE};
use clustered_attention_models::fetch::{fetch, verify};
use clustered_attention_models::say;
use clustered_attention_models::terminal::{complain, end, print, PrintError};
use std::process::ExitCode;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
        end(&error, format_args!("{error}{cause}"))
    })
}

fn run() -> Result<ExitCode, PrintError> {
    let (mut asked, mut verifies) = (Vec::new(), false);
    // What is no text is no asset's name either.
    for argument in std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()) {
        match argument.as_str() {
            "-h" | "--help" => {
                print(format_args!("{}", help()))?;
                return Ok(ExitCode::SUCCESS);
            }
            "--verify" => verifies = true,
            name => match Asset::ALL.into_iter().find(|asset| asset.name == name) {
                Some(asset) => asked.push(asset),
                None => {
                    complain(format_args!("error: there is no asset {name:?}\n\n{}", help().trim_end()));
                    return Ok(ExitCode::from(2));
                }
            },
        }
    }
    let folder = match cache_folder() {
        Ok(folder) => folder,
        Err(error) => {
            complain(format_args!("error: {error}"));
            return Ok(ExitCode::FAILURE);
        }
    };
    say!("Models and data lie in {}", folder.display())?;
    if asked.is_empty() {
        asked.extend(Asset::ALL);
    }
    let mut failed = 0;
    for asset in &asked {
        failed += usize::from(!provide(asset, verifies)?);
    }
    if failed == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    complain(format_args!("error: {failed} of {} could not be fetched", asked.len()));
    Ok(ExitCode::FAILURE)
}

/// Fetches an asset that is missing, and says how it went; `false` if it failed.
fn provide(asset: &Asset, verifies: bool) -> Result<bool, PrintError> {
    let Asset { name, title, package, .. } = asset;
    let size = format!("{} files, {:.1} MiB", asset.files.len(), asset.bytes() as f64 / f64::from(1 << 20));
    let present = asset.is_present();
    if !present {
        say!("{name}: {title} ({size}), from {package}")?;
    }
    let result = match (present, verifies) {
        (true, true) => match verify(asset) {
            Ok(()) => Ok(()),
            Err(error) => {
                say!("{name}: {error}; it is fetched again")?;
                fetch(asset)
            }
        },
        (true, false) => Ok(()),
        (false, _) => fetch(asset),
    };
    match result {
        Ok(()) => {
            let how = match (present, verifies) {
                (true, true) => "is there, verified",
                (true, false) => "is there already",
                (false, _) => "fetched and verified",
            };
            say!("{name}: {how} ({size})")?;
            Ok(true)
        }
        Err(error) => {
            complain(format_args!("error: {name}: {error}"));
            Ok(false)
        }
    }
}

fn help() -> String {
    let mut text = format!(
        "Fetches what is missing of the models and data that the examples use, by the package managers that have them, and verifies it.\n\
         \n\
         clustered-attention-models [--verify] [ASSET...]\n\
         \n\
         --verify   compares the checksums of what is there already too, and fetches again what differs\n\
         \n\
         All lie in {FOLDER_VARIABLE} if that is set, otherwise in the user's folder for caches.\n\
         \n\
         Assets\n"
    );
    for asset in Asset::ALL {
        text += &format!("  {:20}{}, from {}\n", asset.name, asset.title, asset.package);
    }
    text
}
