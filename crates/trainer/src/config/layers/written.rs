//! A list of layers as TOML that gives it again, with all settings.

use super::Layers;
use frugal_model::Layer;
use frugal_model::layers::{Conv, Padding};
use frugal_tensor::ops::activation::{Activation, RELU6};
use frugal_tensor::ops::batch_norm::BatchNorm;
use frugal_tensor::ops::upsample::Upsampling;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

impl Serialize for Layers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        List(&self.list).serialize(serializer)
    }
}

struct List<'a>(&'a [Layer]);

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = serializer.serialize_seq(Some(self.0.len()))?;
        for layer in self.0 {
            items.serialize_element(&Written(layer))?;
        }
        items.end()
    }
}

struct Written<'a>(&'a Layer);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let plain = match self.0 {
            Layer::LayerNorm => "layer_norm",
            Layer::Activation(Activation::Relu) => "relu",
            Layer::Activation(RELU6) => "relu6",
            Layer::Activation(Activation::Clamp { .. }) => "hardtanh",
            Layer::Activation(Activation::Sigmoid) => "sigmoid",
            Layer::Activation(Activation::Tanh) => "tanh",
            Layer::Activation(Activation::Gelu) => "gelu",
            Layer::Activation(Activation::Silu) => "silu",
            Layer::GlobalAveragePool => "global_avg_pool",
            Layer::Flatten => "flatten",
            _ => "",
        };
        if !plain.is_empty() {
            return serializer.serialize_str(plain);
        }
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Layer::Conv(convolution) => {
                map.serialize_entry("conv", &convolution.filters)?;
                write_convolution(&mut map, convolution)?;
            }
            Layer::ConvTranspose { convolution, output_padding } => {
                map.serialize_entry("conv_transpose", &convolution.filters)?;
                write_convolution(&mut map, convolution)?;
                map.serialize_entry("output_padding", output_padding)?;
            }
            Layer::Linear { outputs: Some(outputs) } => map.serialize_entry("linear", outputs)?,
            Layer::Linear { outputs: None } => map.serialize_entry("linear", "classes")?,
            Layer::BatchNorm(BatchNorm { epsilon, momentum }) => {
                map.serialize_entry("batch_norm", &true)?;
                map.serialize_entry("epsilon", epsilon)?;
                map.serialize_entry("momentum", momentum)?;
            }
            Layer::GroupNorm { groups } => map.serialize_entry("group_norm", groups)?,
            Layer::Activation(Activation::LeakyRelu { slope }) => map.serialize_entry("leaky_relu", slope)?,
            Layer::MaxPool { kernel, stride, padding } => {
                map.serialize_entry("max_pool", kernel)?;
                map.serialize_entry("stride", stride)?;
                map.serialize_entry("padding", padding)?;
            }
            Layer::AveragePool { kernel } => map.serialize_entry("avg_pool", kernel)?,
            Layer::AdaptiveAveragePool { extents } => map.serialize_entry("adaptive_avg_pool", extents)?,
            Layer::Upsample { factor, how } => {
                map.serialize_entry("upsample", factor)?;
                map.serialize_entry("mode", if *how == Upsampling::Bilinear { "bilinear" } else { "nearest" })?;
            }
            Layer::Dropout { rate } => map.serialize_entry("dropout", rate)?,
            Layer::Residual { body, shortcut } => {
                map.serialize_entry("residual", &List(body))?;
                if !shortcut.is_empty() {
                    map.serialize_entry("shortcut", &List(shortcut))?;
                }
            }
            Layer::LayerNorm | Layer::Activation(_) | Layer::GlobalAveragePool | Layer::Flatten => {}
        }
        map.end()
    }
}

fn write_convolution<M: SerializeMap>(map: &mut M, convolution: &Conv) -> Result<(), M::Error> {
    let Conv { filters: _, kernel, stride, padding, dilation, groups, bias } = convolution;
    map.serialize_entry("kernel", kernel)?;
    map.serialize_entry("stride", stride)?;
    match padding {
        Padding::Even(padding) => map.serialize_entry("padding", padding)?,
        Padding::Same => map.serialize_entry("padding", "same")?,
    }
    map.serialize_entry("dilation", dilation)?;
    map.serialize_entry("groups", groups)?;
    map.serialize_entry("bias", bias)
}
