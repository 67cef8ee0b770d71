//! A [`Weight`] as part of a burn module: the parameter itself, under the same path, or nothing.

use burn::module::{
    Content, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
};
use burn::tensor::{Device, Tensor};

use super::Weight;

impl Weight {
    fn map_param(self, change: impl FnOnce(Param<Tensor<2>>) -> Param<Tensor<2>>) -> Self {
        match self {
            Self::Param(param) => Self::Param(change(param)),
            Self::Packed(_) => self,
        }
    }
}

impl Module for Weight {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        if let Self::Param(param) = self {
            Module::visit(param, visitor);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.map_param(|param| Module::map(param, mapper))
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_param(|param| Module::to_device(param, device))
    }

    fn fork(self, device: &Device) -> Self {
        self.map_param(|param| Module::fork(param, device))
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        match self {
            Self::Param(param) => param.collect_devices(devices),
            Self::Packed(_) => devices,
        }
    }

    fn valid(&self) -> Self {
        self.clone().map_param(|param| Module::valid(&param))
    }

    fn train(self) -> Self {
        self.map_param(Module::train)
    }

    fn materialize(self) -> Self {
        self.map_param(Module::materialize)
    }
}

impl ModuleDisplayDefault for Weight {
    fn content(&self, content: Content) -> Option<Content> {
        match self {
            Self::Param(param) => param.content(content),
            Self::Packed(matrix) => content.add_formatted(&format!("{matrix:?}")).optional(),
        }
    }
}

impl ModuleDisplay for Weight {}
