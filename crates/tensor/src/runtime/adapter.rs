//! Finding and choosing an adapter.

use super::GpuError;
use super::pipelines::SPIRV;
use crate::ir::{KernelSet, Operands, Precision};
use crate::plan::{PlanOptions, ROUNDS};

/// The backends that Frugal runs on. GL is not among them: its compute support is partial, and software GL adapters
/// would be taken by accident.
const BACKENDS: wgpu::Backends = wgpu::Backends::VULKAN.union(wgpu::Backends::METAL).union(wgpu::Backends::DX12);

/// A clock on the device that can be read between two dispatches: for [`crate::Session::time_nodes`] alone.
pub(super) const CLOCK: wgpu::Features =
    wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES.union(wgpu::Features::TIMESTAMP_QUERY);

/// An adapter and what is known of it.
pub struct Adapter {
    pub(super) handle: wgpu::Adapter,
    /// Name, driver, backend, type.
    pub info: wgpu::AdapterInfo,
}

impl Adapter {
    /// All adapters, real GPUs first, in a stable order. Honours `WGPU_BACKEND` and the other `WGPU_*` variables.
    pub fn all() -> Vec<Adapter> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends &= BACKENDS;
        let instance = wgpu::Instance::new(descriptor);
        let handles = pollster::block_on(instance.enumerate_adapters(BACKENDS));
        let mut adapters: Vec<Adapter> =
            handles.into_iter().map(|handle| Adapter { info: handle.get_info(), handle }).collect();
        adapters.sort_by_key(|adapter| match adapter.info.device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        });
        adapters
    }

    /// The adapter requested by position in [`Adapter::all`] or by part of its name; without a wish the one that
    /// `WGPU_ADAPTER_NAME` names, else the first.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`], [`GpuError::NoSuchAdapter`].
    pub fn choose(wish: Option<&str>) -> Result<Adapter, GpuError> {
        let mut adapters = Self::all();
        if adapters.is_empty() {
            return Err(GpuError::NoAdapter);
        }
        let from_env = std::env::var("WGPU_ADAPTER_NAME").ok();
        let Some(wish) = wish.or(from_env.as_deref()).filter(|w| !w.is_empty() && *w != "auto") else {
            return Ok(adapters.swap_remove(0));
        };
        let by_name = |a: &Adapter| a.info.name.to_lowercase().contains(&wish.to_lowercase());
        let position = match wish.parse::<usize>() {
            Ok(index) if index < adapters.len() => Some(index),
            _ => adapters.iter().position(by_name),
        };
        match position {
            Some(position) => Ok(adapters.swap_remove(position)),
            None => Err(GpuError::NoSuchAdapter {
                wanted: wish.to_string(),
                available: adapters
                    .iter()
                    .enumerate()
                    .map(|(index, a)| format!("  {index}: {} ({})", a.info.name, a.info.backend))
                    .collect::<Vec<_>>()
                    .join("\n"),
            }),
        }
    }

    /// The family of kernels that suits it.
    pub fn kernel_set(&self) -> KernelSet {
        match self.info.device_type {
            wgpu::DeviceType::Cpu => KernelSet::Registers,
            _ => KernelSet::Tiles,
        }
    }

    /// Invocations in a subgroup, if the adapter has subgroups and all are of one size. `FRUGAL_NO_SUBGROUPS` hides them.
    pub fn subgroup(&self) -> Option<u32> {
        let (least, most) = (self.info.subgroup_min_size, self.info.subgroup_max_size);
        let hidden = std::env::var_os("FRUGAL_NO_SUBGROUPS").is_some();
        (!hidden && least == most && self.features().contains(wgpu::Features::SUBGROUP)).then_some(least)
    }

    /// Whether shaders have f16. `FRUGAL_NO_F16` hides it.
    fn has_f16(&self) -> bool {
        self.features().contains(wgpu::Features::SHADER_F16) && std::env::var_os("FRUGAL_NO_F16").is_none()
    }

    /// Rows and columns of the cooperative matrices that it has for f16 operands with f32 sums, the larger if there are several;
    /// only where subgroups are of one size, and four of them fit into a workgroup of 256. `FRUGAL_NO_MATRICES` hides them.
    pub fn matrices(&self) -> Option<u32> {
        let has = self.has_f16() && self.features().contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
        let hidden = std::env::var_os("FRUGAL_NO_MATRICES").is_some();
        let serves = |kind: &wgpu::CooperativeMatrixProperties, extent: u32| {
            use wgpu::CooperativeScalarType::{F16, F32};
            let wgpu::CooperativeMatrixProperties { m_size, n_size, k_size, ab_type, cr_type, .. } = kind;
            [m_size, n_size, k_size] == [&extent; 3] && (*ab_type, *cr_type) == (F16, F32)
        };
        self.subgroup().filter(|size| has && !hidden && (8..=64).contains(size))?;
        let kinds = self.handle.cooperative_matrix_properties();
        [16, 8].into_iter().find(|&extent| kinds.iter().any(|kind| serves(kind, extent)))
    }

    /// What products multiply on it in a precision.
    ///
    /// # Errors
    /// [`GpuError::NoF16`] if that is f16, and its shaders have none.
    pub fn operands(&self, precision: Precision) -> Result<Operands, GpuError> {
        match (precision, self.matrices(), self.subgroup()) {
            (Precision::F32, ..) => Ok(Operands::F32),
            (Precision::F16, Some(extent), Some(subgroup)) => Ok(Operands::F16Matrices { extent, subgroup }),
            (Precision::F16, ..) if self.has_f16() => Ok(Operands::F16Tiles),
            (Precision::F16, ..) => Err(GpuError::NoF16 { adapter: self.info.name.clone() }),
        }
    }

    /// The features that Frugal takes where the adapter has them, and those that products need.
    pub(super) fn wanted_features(&self, operands: Operands) -> wgpu::Features {
        let subgroups = match self.subgroup() {
            Some(_) => wgpu::Features::SUBGROUP,
            None => wgpu::Features::empty(),
        };
        let products = match operands {
            Operands::F32 => wgpu::Features::empty(),
            Operands::F16Tiles => wgpu::Features::SHADER_F16,
            Operands::F16Matrices { .. } => {
                wgpu::Features::SHADER_F16 | wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX
            }
        };
        let spirv = match self.info.backend {
            wgpu::Backend::Vulkan => SPIRV,
            _ => wgpu::Features::empty(),
        };
        subgroups | products | (self.features() & (CLOCK | spirv))
    }

    /// What a plan has to know of it, with products in f32.
    pub fn plan_options(&self) -> PlanOptions {
        let limits = self.handle.limits();
        PlanOptions {
            set: self.kernel_set(),
            subgroup: self.subgroup(),
            tiles: None,
            operands: Operands::F32,
            max_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            rounds: ROUNDS,
            buckets: 0,
        }
    }

    /// Its limits.
    pub fn limits(&self) -> wgpu::Limits {
        self.handle.limits()
    }

    /// Its features.
    pub fn features(&self) -> wgpu::Features {
        self.handle.features()
    }
}
