//! Compiled shaders: one pipeline for each variant, several compiled at a time.

use super::GpuError;
use super::shader::Variant;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Mutex;

/// The pipelines of a device, compiled on first use.
pub(super) struct Pipelines {
    compiler: Compiler,
    layouts: RefCell<BTreeMap<usize, Layout>>,
    ready: RefCell<HashMap<Variant, wgpu::ComputePipeline>>,
}

/// What threads that compile share.
struct Compiler {
    device: wgpu::Device,
    /// Whether all shaders check array bounds.
    checked: bool,
}

/// What a dispatch binds: the uniform `Params`, then values.
#[derive(Clone)]
struct Layout {
    group: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
}

impl Pipelines {
    /// None yet. Only if not `checked`, the shaders of this crate run without checks of array bounds.
    pub(super) fn new(device: &wgpu::Device, checked: bool) -> Self {
        let compiler = Compiler { device: device.clone(), checked };
        Self { compiler, layouts: RefCell::default(), ready: RefCell::default() }
    }

    /// The pipeline of a variant that was [compiled](Self::compile).
    pub(super) fn get(&self, variant: &Variant) -> wgpu::ComputePipeline {
        self.ready.borrow()[variant].clone()
    }

    /// The layout of bind groups with so many values.
    pub(super) fn group_layout(&self, values: usize) -> wgpu::BindGroupLayout {
        self.layout(values).group
    }

    /// Compiles what was not compiled yet of these variants, each with the number of values that it binds, on all cores:
    /// drivers of GPUs do most of their work here (Mesa's llvmpipe at the first dispatch).
    ///
    /// # Errors
    /// [`GpuError::Shader`].
    pub(super) fn compile<'v>(&self, wanted: impl Iterator<Item = (&'v Variant, usize)>) -> Result<(), GpuError> {
        let missing = wanted.filter(|(variant, _)| !self.ready.borrow().contains_key(*variant));
        let missing: BTreeMap<Variant, Layout> =
            missing.map(|(variant, values)| (variant.clone(), self.layout(values))).collect();
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(missing.len());
        let (compiler, queue) = (&self.compiler, Mutex::new(missing.into_iter()));
        let next = || queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
        let compile_all = || {
            let compiled = std::iter::from_fn(next)
                .map(|(variant, layout)| Ok((compiler.pipeline(&variant, &layout.pipeline)?, variant)));
            compiled.collect::<Result<Vec<_>, GpuError>>()
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(compile_all)).collect();
            for worker in workers {
                let compiled = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                self.ready.borrow_mut().extend(compiled.into_iter().map(|(pipeline, variant)| (variant, pipeline)));
            }
            Ok(())
        })
    }

    fn layout(&self, values: usize) -> Layout {
        self.layouts.borrow_mut().entry(values).or_insert_with(|| Layout::new(&self.compiler.device, values)).clone()
    }
}

impl Layout {
    fn new(device: &wgpu::Device, values: usize) -> Self {
        let entry = |binding: usize| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match binding {
                    0 => wgpu::BufferBindingType::Uniform,
                    _ => wgpu::BufferBindingType::Storage { read_only: false },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let entries: Vec<_> = (0..=values).map(entry).collect();
        let group =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let pipeline = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&group)],
            immediate_size: 0,
        });
        Self { group, pipeline }
    }
}

impl Compiler {
    fn pipeline(&self, variant: &Variant, layout: &wgpu::PipelineLayout) -> Result<wgpu::ComputePipeline, GpuError> {
        let refused = |reason: String| GpuError::Shader { shader: variant.to_string(), reason };
        let source = variant.expand()?;
        // Error scopes are a thread's own.
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let module = self.module(variant, &source).map_err(refused)?;
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&variant.shader),
            layout: Some(layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        match pollster::block_on(scope.pop()) {
            Some(error) => Err(refused(error.to_string())),
            None => Ok(pipeline),
        }
    }

    /// Shaders of this crate go without checks of array bounds and endless loops, because the plan has checked every size,
    /// and each shader its own indices.
    #[allow(unsafe_code)]
    fn module(&self, variant: &Variant, source: &str) -> Result<wgpu::ShaderModule, String> {
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(&variant.shader),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        };
        if self.checked || variant.source.is_some() {
            return Ok(self.device.create_shader_module(descriptor));
        }
        // What SPIR-V asks for around cooperative matrices is left to wgpu.
        if self.device.features().contains(SPIRV) && !variant.uses_matrices() {
            let spirv = Some(spirv(source, variant.uses_subgroups())?.into());
            let entry_points = [wgpu::PassthroughShaderEntryPoint { name: "main".into(), workgroup_size: (0, 0, 0) }];
            let descriptor = wgpu::ShaderModuleDescriptorPassthrough {
                label: Some(&variant.shader),
                entry_points: entry_points.as_slice().into(),
                spirv,
                ..Default::default()
            };
            // SAFETY: what naga wrote after it validated it; for the rest as below.
            return Ok(unsafe { self.device.create_shader_module_passthrough(descriptor) });
        }
        // SAFETY: shaders index only within the extents that the plan puts into their parameters, and every loop ends;
        // a checked device runs them with all checks.
        Ok(unsafe { self.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) })
    }
}

/// The feature by which a device takes SPIR-V. wgpu keeps naga's tree of a WGSL shader for as long as its pipeline lives,
/// 20 MiB for ResNet-20; of SPIR-V it keeps nothing.
pub(super) const SPIRV: wgpu::Features = wgpu::Features::PASSTHROUGH_SHADERS;

/// WGSL as SPIR-V without checks, as wgpu would have it written.
fn spirv(source: &str, subgroups: bool) -> Result<Vec<u32>, String> {
    use naga::back::spv;
    use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy::Unchecked};
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| error.emit_to_string(source))?;
    let options = spv::Options {
        // Every Vulkan takes 1.0; one with subgroup operations is at least Vulkan 1.1, which takes 1.3.
        lang_version: if subgroups { (1, 3) } else { (1, 0) },
        flags: spv::WriterFlags::empty(),
        bounds_check_policies: BoundsCheckPolicies {
            index: Unchecked,
            buffer: Unchecked,
            image_load: Unchecked,
            binding_array: Unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..Default::default()
    };
    spv::write_vec(&module, &info, &options, None).map_err(|error| error.to_string())
}
