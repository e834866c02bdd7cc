//! Graph and lifetimes become an executable: places for values, dispatches for nodes.

use super::memory::{self, Block, Lifetimes, place};
use super::segments::segments;
use super::step_role::step_roles;
use super::{
    ALIGNMENT, BoundBytes, Dispatch, Executable, ExecutableNode, ExecutableValue, Location, Place, PlanError,
    PlanOptions, WORKGROUPS_PER_DIMENSION,
};
use crate::codec::Stored;
use crate::ir::{
    Binding, Graph, Kernel, KernelContext, KernelSet, MOST_ROUNDS, Precision, Role, Value, ValueId, Variant,
};
use std::collections::HashMap;

/// What runs a graph.
///
/// # Errors
/// [`PlanError::TooManyWorkgroups`], [`PlanError::TooManyRounds`], [`PlanError::NoExchange`].
pub(super) fn executable(
    graph: &Graph,
    stored: &[Stored],
    buckets: &[Vec<ValueId>],
    lifetimes: &Lifetimes,
    options: &PlanOptions,
) -> Result<Executable, PlanError> {
    let (locations, transient_pages) = locations(graph, lifetimes, options);
    let location = |id: ValueId| lifetimes.of_value[id.index()].map(|block| locations[block]);
    let values = graph.ids().map(|(id, value)| ExecutableValue {
        name: value.name.clone(),
        shape: value.shape.clone(),
        element: value.element,
        precision: value.precision,
        bytes: value.bytes(),
        is_input: value.role == Role::Input,
        init: value.init.clone().filter(|_| value.is_persistent()),
        // A part of a stored value is found by its whole.
        location: location(id)
            .filter(|location| value.is_persistent() || matches!(location, Location::Transient(_)))
            .map(|location| within(location, graph.memory_of(id).1, value.bytes())),
    });
    let nodes = graph.nodes().iter().zip(step_roles(graph, stored)).map(|(node, role)| ExecutableNode {
        layer: node.layer.clone(),
        operator: node.operator.name().to_owned(),
        phase: node.phase,
        role,
        outputs: node.outputs.clone(),
    });
    let of = |wanted: fn(&Value) -> bool| {
        let used = graph.ids().filter(move |(_, value)| wanted(value));
        used.map(|(id, _)| id).filter(|id| lifetimes.of_value[id.index()].is_some())
    };
    let mut executable = Executable {
        values: values.collect(),
        nodes: nodes.collect(),
        transient_pages,
        control: graph.control_layout().clone(),
        uploads: of(|value| value.role == Role::Input).collect(),
        read_backs: of(Value::is_metric).chain(of(|value| value.role == Role::Report)).collect(),
        ..Executable::default()
    };
    add_dispatches(&mut executable, graph, lifetimes, options, &locations)?;
    (executable.buckets, executable.segments) = segments(graph, &executable.dispatches, buckets)?;
    Ok(executable)
}

/// Where each block lies, and the bytes of each transient page.
fn locations(graph: &Graph, lifetimes: &Lifetimes, options: &PlanOptions) -> (Vec<Location>, Vec<u64>) {
    let blocks = lifetimes.blocks.iter().enumerate().filter(|(_, block)| !block.persistent);
    let (indices, blocks): (Vec<usize>, Vec<&Block>) = blocks.unzip();
    let (places, pages) = place(&blocks, options.max_buffer, options.rounds);
    let nowhere = Location::Transient(Place { page: 0, offset: 0, size: 0 });
    let mut locations = vec![nowhere; lifetimes.blocks.len()];
    for (index, (page, offset)) in indices.into_iter().zip(places) {
        locations[index] = Location::Transient(Place { page, offset, size: 0 });
    }
    for (id, _) in graph.ids().filter(|(_, value)| value.is_persistent()) {
        let block = lifetimes.of_value[id.index()].expect("what lives across steps has a block");
        locations[block] = Location::Stored(id);
    }
    (locations, pages)
}

/// The part of a location from an offset on, with so many bytes.
fn within(location: Location, offset: u64, size: u64) -> Location {
    match location {
        Location::Transient(place) => Location::Transient(Place { size, offset: place.offset + offset, ..place }),
        stored => stored,
    }
}

/// The location with so many bytes.
fn sized(location: Location, size: u64) -> Location {
    match location {
        Location::Transient(place) => Location::Transient(Place { size, ..place }),
        stored => stored,
    }
}

/// Nodes become dispatches.
fn add_dispatches(
    executable: &mut Executable,
    graph: &Graph,
    lifetimes: &Lifetimes,
    options: &PlanOptions,
    locations: &[Location],
) -> Result<(), PlanError> {
    let mut uniform_slots: HashMap<Vec<u32>, u64> = HashMap::new();
    let mut shaders: HashMap<Variant, usize> = HashMap::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        let context = memory::context(graph, index, options, lifetimes.in_place[index]);
        for mut kernel in node.operator.kernels(&context) {
            kernel.f16_bindings = f16_bindings(&kernel, &context);
            let bound = |binding: &Binding| {
                let of_value = |id: ValueId| {
                    let block = lifetimes.of_value[id.index()].expect("values that are read or made have blocks");
                    (block, graph.memory_of(id).1, graph.value(id).bytes())
                };
                let of_scratch = |(block, bytes)| (block, 0, bytes);
                let (block, offset, size) = match *binding {
                    Binding::Input(i) => of_value(node.inputs[i]),
                    Binding::Output(i) => of_value(node.outputs[i]),
                    Binding::Scratch(i) => of_scratch(lifetimes.of_scratch[index][i]),
                };
                (*binding, BoundBytes { location: sized(locations[block], size), offset, size })
            };
            let bindings = kernel.bindings.iter().map(bound).collect();
            let uniforms = &mut executable.uniforms;
            let uniform_offset = *uniform_slots.entry(kernel.parameters.clone()).or_insert_with(|| {
                let offset = 4 * uniforms.len() as u64;
                uniforms.extend(&kernel.parameters);
                uniforms.resize(uniforms.len().next_multiple_of(ALIGNMENT as usize / 4), 0);
                offset
            });
            let rows = kernel.workgroups.div_ceil(WORKGROUPS_PER_DIMENSION).max(1);
            if rows > WORKGROUPS_PER_DIMENSION {
                let (layer, shader, workgroups) = (node.layer.clone(), kernel.shader, kernel.workgroups);
                return Err(PlanError::TooManyWorkgroups { layer, shader, workgroups });
            }
            let limit = if options.set == KernelSet::Registers { MOST_ROUNDS } else { usize::MAX };
            if kernel.rounds > limit {
                let (layer, shader, rounds) = (node.layer.clone(), kernel.shader, kernel.rounds);
                return Err(PlanError::TooManyRounds { layer, shader, rounds, limit });
            }
            let grid = [kernel.workgroups.div_ceil(rows) as u32, rows as u32];
            let variant = Variant::of(&kernel);
            let shader = match shaders.get(&variant) {
                Some(&shader) => shader,
                None => {
                    executable.shaders.push(variant.clone());
                    shaders.insert(variant, executable.shaders.len() - 1);
                    executable.shaders.len() - 1
                }
            };
            executable.dispatches.push(Dispatch { node: index, shader, bindings, uniform_offset, grid });
        }
    }
    Ok(())
}

/// The bindings of a kernel whose values memory holds in f16. Scratch is never one.
fn f16_bindings(kernel: &Kernel, context: &KernelContext) -> Vec<usize> {
    let precision = |binding: &Binding| match *binding {
        Binding::Input(index) => context.inputs[index].precision,
        Binding::Output(index) => context.outputs[index].precision,
        Binding::Scratch(_) => Precision::F32,
    };
    let bindings = kernel.bindings.iter().zip(1..);
    bindings.filter(|(binding, _)| precision(binding) == Precision::F16).map(|(_, number)| number).collect()
}
