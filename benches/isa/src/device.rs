//! Vulkan: the device, and pipelines with what their driver tells of them.

use crate::printed;
use crate::translation::Kernel;
use anyhow::{ensure, Context, Result};
use ash::{ext, khr, vk};
use std::ffi::{c_char, CStr, CString};

/// The first device that is not the host in disguise.
pub struct Device {
    device: ash::Device,
    properties: khr::pipeline_executable_properties::Device,
    pub name: String,
    pub driver: String,
    pub driver_version: String,
    // Loaded until the end.
    _instance: ash::Instance,
    _entry: ash::Entry,
}

/// A kernel as the driver compiled it.
pub struct Compiled {
    pub subgroup_size: u32,
    /// The driver's own figures, by the driver's own names.
    pub statistics: Vec<(String, f64)>,
    /// Representations by the driver's names for them, the last the nearest to what is executed.
    pub texts: Vec<(String, String)>,
}

impl Compiled {
    /// What the device would execute, as text.
    pub fn assembly(&self) -> Option<&str> {
        let named = self.texts.iter().rev().find(|(name, _)| name.to_lowercase().contains("assembly"));
        named.map(|(_, text)| text.as_str())
    }
}

impl Device {
    /// Opens it with every feature that it has, so that any WGSL may be compiled.
    ///
    /// # Errors
    /// There is no Vulkan, no such device, or none that tells what it compiled.
    pub fn open(robust: bool) -> Result<Self> {
        // SAFETY: the system's loader and drivers are trusted; nothing of them is used once they are unloaded, at the end of the process.
        let entry = unsafe { ash::Entry::load() }.context("there is no Vulkan loader")?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let description = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: the description outlives the call.
        let instance = unsafe { entry.create_instance(&description, None) }.context("no Vulkan instance")?;
        // SAFETY: the instance is alive, here and below.
        let devices = unsafe { instance.enumerate_physical_devices() }.context("the devices cannot be listed")?;
        let is_hardware = |device: &vk::PhysicalDevice| {
            // SAFETY: the device is of this instance.
            let properties = unsafe { instance.get_physical_device_properties(*device) };
            properties.device_type != vk::PhysicalDeviceType::CPU
        };
        let physical = devices.into_iter().find(is_hardware).context("there is no Vulkan device that is a GPU")?;
        let mut driver = vk::PhysicalDeviceDriverProperties::default();
        let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
        // SAFETY: the chain is of structures that Vulkan 1.3 knows.
        unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
        let name = text(&properties.properties.device_name);
        let device = create(&instance, physical, robust).with_context(|| format!("{name} cannot be opened"))?;
        let properties = khr::pipeline_executable_properties::Device::new(&instance, &device);
        let (driver, driver_version) = (text(&driver.driver_name), text(&driver.driver_info));
        Ok(Self { device, properties, name, driver, driver_version, _instance: instance, _entry: entry })
    }

    /// Compiles a kernel, and asks what became of it.
    pub fn compile(&self, kernel: &Kernel) -> Result<Compiled> {
        let (pipeline, printed) = printed::while_doing(|| self.pipeline(kernel))?;
        let mut compiled = self.describe(pipeline?)?;
        if !printed.is_empty() {
            compiled.texts.push(("printed assembly".into(), printed));
        }
        Ok(compiled)
    }

    /// What it makes lives as long as the process, which is short.
    fn pipeline(&self, kernel: &Kernel) -> Result<vk::Pipeline> {
        let bindings: Vec<_> = kernel
            .bindings
            .iter()
            .map(|binding| {
                let kind = if binding.uniform {
                    vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC
                } else {
                    vk::DescriptorType::STORAGE_BUFFER
                };
                let layout = vk::DescriptorSetLayoutBinding::default().binding(binding.number).descriptor_type(kind);
                layout.descriptor_count(1).stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        let name = CString::new(kernel.name.as_str())?;
        // SAFETY: naga wrote valid SPIR-V; everything is of this device, and descriptions outlive the calls that they are for.
        unsafe {
            let module = vk::ShaderModuleCreateInfo::default().code(&kernel.words);
            let module = self.device.create_shader_module(&module, None)?;
            let layout = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let layouts = [self.device.create_descriptor_set_layout(&layout, None)?];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&layouts);
            let layout = self.device.create_pipeline_layout(&layout, None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default().stage(vk::ShaderStageFlags::COMPUTE);
            let asked = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let pipeline = vk::ComputePipelineCreateInfo::default().stage(stage.module(module).name(&name));
            let pipelines = self.device.create_compute_pipelines(
                vk::PipelineCache::null(),
                &[pipeline.layout(layout).flags(asked)],
                None,
            );
            Ok(pipelines.map_err(|(_, error)| error).context("the driver refuses it")?[0])
        }
    }

    fn describe(&self, pipeline: vk::Pipeline) -> Result<Compiled> {
        let description = vk::PipelineInfoKHR::default().pipeline(pipeline);
        // SAFETY: the pipeline is of this device, and was made to be asked.
        let executables = unsafe { self.properties.get_pipeline_executable_properties(&description) }?;
        ensure!(executables.len() == 1, "{} programs were made of one kernel", executables.len());
        let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        // SAFETY: as above.
        let statistics = unsafe { self.properties.get_pipeline_executable_statistics(&executable) }?;
        let statistics = statistics.iter().map(|statistic| (text(&statistic.name), number(statistic))).collect();
        Ok(Compiled { subgroup_size: executables[0].subgroup_size, statistics, texts: self.texts(&executable)? })
    }

    fn texts(&self, executable: &vk::PipelineExecutableInfoKHR) -> Result<Vec<(String, String)>> {
        let ask = self.properties.fp().get_pipeline_executable_internal_representations_khr;
        let mut count = 0;
        // SAFETY: first how many there are, then how long each is, then each into as much memory, which lives until it is read.
        unsafe {
            ask(self.device.handle(), executable, &mut count, std::ptr::null_mut()).result()?;
            let mut representations = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            ask(self.device.handle(), executable, &mut count, representations.as_mut_ptr()).result()?;
            let mut memory: Vec<Vec<u8>> = representations.iter().map(|one| vec![0; one.data_size]).collect();
            for (representation, bytes) in representations.iter_mut().zip(&mut memory) {
                representation.p_data = bytes.as_mut_ptr().cast();
            }
            ask(self.device.handle(), executable, &mut count, representations.as_mut_ptr()).result()?;
            let texts = representations.iter().zip(&memory).map(|(representation, bytes)| {
                (text(&representation.name), String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned())
            });
            Ok(texts.collect())
        }
    }
}

/// The device with all features that it has; without bounds on accesses to buffers unless they are asked for.
fn create(instance: &ash::Instance, physical: vk::PhysicalDevice, robust: bool) -> Result<ash::Device> {
    // SAFETY: the device is of this instance.
    let extensions = unsafe { instance.enumerate_device_extension_properties(physical) }?;
    let has = |name: &CStr| extensions.iter().any(|extension| extension.extension_name_as_c_str() == Ok(name));
    ensure!(has(khr::pipeline_executable_properties::NAME), "the driver does not tell what it compiled");
    let optional = [khr::cooperative_matrix::NAME, ext::robustness2::NAME].map(|name| (name, has(name)));
    let [(_, has_matrices), (_, has_robustness)] = optional;
    let mut executable = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default();
    let mut matrices = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default();
    let mut robustness = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
    let mut newer = (
        vk::PhysicalDeviceVulkan11Features::default(),
        vk::PhysicalDeviceVulkan12Features::default(),
        vk::PhysicalDeviceVulkan13Features::default(),
    );
    let mut features = vk::PhysicalDeviceFeatures2::default();
    features =
        features.push_next(&mut executable).push_next(&mut newer.0).push_next(&mut newer.1).push_next(&mut newer.2);
    if has_matrices {
        features = features.push_next(&mut matrices);
    }
    if has_robustness && robust {
        features = features.push_next(&mut robustness);
    }
    // SAFETY: the chain is of structures that the device knows.
    unsafe { instance.get_physical_device_features2(physical, &mut features) };
    let bounded = if robust { vk::TRUE } else { vk::FALSE };
    features.features.robust_buffer_access &= bounded;
    let mut features = vk::PhysicalDeviceFeatures2 { ..features };
    let enabled = optional.into_iter().filter(|&(name, has)| has && (robust || name != ext::robustness2::NAME));
    let mut names: Vec<*const c_char> = enabled.map(|(name, _)| name.as_ptr()).collect();
    names.push(khr::pipeline_executable_properties::NAME.as_ptr());
    let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
    let description = vk::DeviceCreateInfo::default().queue_create_infos(&queues).enabled_extension_names(&names);
    // SAFETY: the chain of features is that which the device filled in, and it and the names outlive the call.
    Ok(unsafe { instance.create_device(physical, &description.push_next(&mut features), None) }?)
}

fn number(statistic: &vk::PipelineExecutableStatisticKHR) -> f64 {
    use vk::PipelineExecutableStatisticFormatKHR as Format;
    // SAFETY: the format tells which field the driver wrote.
    unsafe {
        match statistic.format {
            Format::BOOL32 => statistic.value.b32.into(),
            Format::INT64 => statistic.value.i64 as f64,
            Format::UINT64 => statistic.value.u64 as f64,
            _ => statistic.value.f64,
        }
    }
}

/// A name in an array of fixed length.
fn text(characters: &[c_char]) -> String {
    let bytes: Vec<u8> =
        characters.iter().take_while(|&&character| character != 0).map(|&character| character as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
