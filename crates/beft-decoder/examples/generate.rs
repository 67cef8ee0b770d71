//! Text from a model folder, with an adapter if one is given:
//! `cargo run --release -p beft-decoder --example generate -- MODEL "Once upon" [ADAPTER]`
use std::error::Error;
use std::path::Path;

use beft_checkpoint::ModelDir;
use beft_decoder::{DecoderConfig, DecoderForCausalLM, GenerationSettings};
use beft_modes::Adapter;
use beft_nn::Precision;
use burn::tensor::Device;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, prompt, adapter @ ..] = args.as_slice() else {
        return Err("give a model folder, a prompt, and perhaps an adapter folder".into());
    };
    let device = Device::flex();
    let dir = ModelDir::open(Path::new(model))?;
    let config = DecoderConfig::load(&dir)?;
    let (mut model, _) = DecoderForCausalLM::load(&dir, &dir.tensors()?, Precision::F32, &device)?;
    if let [adapter] = adapter {
        let path = Path::new(adapter);
        let names = model.names();
        model = Adapter::load(path)?.apply(model, names, path)?;
    }
    let tokenizer = dir.tokenizer(config.max_tokens)?;
    let ids = tokenizer.encode([(prompt.as_str(), None)])?.remove(0).ids;
    let options = GenerationSettings::load(&dir, &config)?.options(80);
    let new = model.generate(std::slice::from_ref(&ids), &options, |_, _| ());
    println!("{}", tokenizer.decode(&[ids, new[0].clone()].concat())?);
    Ok(())
}
