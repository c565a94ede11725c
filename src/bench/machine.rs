//! What the program runs on: processor, cores, memory, and the limits its
//! container sets. What the system does not say is left out.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use crate::kernels::simd::Isa;
use crate::limits;

/// Where Linux shows processors and memory nodes.
const DEVICES: &str = "/sys/devices/system";

/// Extensions of interest, as Linux spells them, that speed a kernel up or could.
const EXTENSIONS: [&str; 20] = [
    "avx",
    "f16c",
    "fma",
    "avx2",
    "avx512f",
    "avx512dq",
    "avx512bw",
    "avx512vl",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "amx_fp16",
    "asimd",
    "bf16",
    "sve",
    "i8mm",
];

/// The machine, as far as it tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Its family, model and stepping on x86, where names say little in virtual machines.
    pub signature: Option<String>,
    /// Extensions that matter here, of those the system lets programs use.
    pub extensions: Vec<String>,
    /// Sets that kernels exist for, best first.
    pub instruction_sets: Vec<String>,
    /// The one they use.
    pub instruction_set: String,
    /// Logical processors.
    pub processors: usize,
    /// Threads a run uses unless told otherwise: what affinity and control group leave.
    pub usable: usize,
    /// The control group's limit, in processors.
    pub cgroup_cpus: Option<f64>,
    /// Bytes of memory, the control group's or the shell's if these have less.
    pub memory: u64,
    /// Bytes of it that are free.
    pub memory_free: u64,
    /// Operating system and architecture.
    pub system: String,
    /// What decides the clock: `performance`, `powersave`, …
    #[serde(default)]
    pub governor: Option<String>,
    /// How many tasks ran or wanted to, on average of the last minute, before anything was measured.
    #[serde(default)]
    pub load: Option<f64>,
    /// The first processor's caches that hold data, nearest first: `L1d 32 KiB`.
    #[serde(default)]
    pub caches: Vec<String>,
    /// Nodes of memory, each near some of the processors.
    #[serde(default)]
    pub nodes: Option<usize>,
}

impl Machine {
    /// Asks the machine.
    #[must_use]
    pub fn detect() -> Self {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let specifics = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
        let system = System::new_with_specifics(specifics).ok();
        let cpus = system.as_ref().map_or(&[][..], System::cpus);
        let brand = cpus.first().map(|cpu| cpu.brand().trim().to_owned()).filter(|brand| !brand.is_empty());
        let processors = cpus.len();
        let usable = std::thread::available_parallelism().map_or(1, usize::from);
        let memory = limits::Memory::detect(usable);
        let devices = Path::new(DEVICES);
        Machine {
            cpu: brand.unwrap_or_else(|| "unknown processor".into()),
            signature: signature(&text),
            extensions: extensions(&text),
            instruction_sets: Isa::available().iter().map(|isa| isa.name().to_owned()).collect(),
            instruction_set: Isa::detect().name().to_owned(),
            processors: processors.max(usable),
            usable,
            cgroup_cpus: limits::processors(),
            memory: memory.total,
            memory_free: memory.free,
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            governor: line(&devices.join("cpu/cpu0/cpufreq/scaling_governor")),
            load: System::load_average().ok().map(|load| load.one),
            caches: caches(&devices.join("cpu/cpu0/cache")),
            nodes: nodes(&devices.join("node")),
        }
    }
}

/// The commit that the program was built from, `-dirty` if that was not all; none in debug builds.
#[must_use]
pub fn commit() -> Option<&'static str> {
    option_env!("IMPASTO_COMMIT")
}

/// What a file of one line says.
fn line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|line| !line.is_empty())
}

/// The caches in a folder of `index0`, `index1`, …, but for those of instructions.
fn caches(folder: &Path) -> Vec<String> {
    let cache = |index: usize| {
        let field = |name| line(&folder.join(format!("index{index}")).join(name));
        let (level, kind, size) = (field("level")?, field("type")?, field("size")?);
        let side = match kind.as_str() {
            "Data" => "d",
            "Unified" => "",
            _ => return None,
        };
        let size = match size.strip_suffix('K')?.parse::<u64>().ok()? {
            kib if kib >= 1024 && kib.is_multiple_of(1024) => format!("{} MiB", kib / 1024),
            kib => format!("{kib} KiB"),
        };
        Some(format!("L{level}{side} {size}"))
    };
    (0..10).filter_map(cache).collect()
}

/// How many `node0`, `node1`, … a folder has.
fn nodes(folder: &Path) -> Option<usize> {
    let names = fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_node = |name: &String| name.strip_prefix("node").is_some_and(|number| number.parse::<usize>().is_ok());
    Some(names.filter(is_node).count()).filter(|&count| count > 0)
}

/// The value of a line `key : value` of /proc/cpuinfo.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

fn signature(text: &str) -> Option<String> {
    let [family, model, stepping] = ["cpu family", "model", "stepping"].map(|key| field(text, key));
    Some(format!("family {} model {} stepping {}", family?, model?, stepping?))
}

fn extensions(text: &str) -> Vec<String> {
    let flags = field(text, "flags").or_else(|| field(text, "Features")).unwrap_or_default();
    let present = |wanted: &&str| flags.split_whitespace().any(|flag| flag == *wanted);
    EXTENSIONS.iter().filter(|e| present(e)).map(|e| (*e).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUINFO: &str = "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Some CPU\nstepping\t: 8\n\
                           flags\t\t: fpu avx avx2 fma avx512f amx_bf16 avx512_bf16\n";

    #[test]
    fn extensions_are_whole_words_of_the_flags() {
        assert_eq!(extensions(CPUINFO), ["avx", "fma", "avx2", "avx512f", "avx512_bf16", "amx_bf16"]);
        assert_eq!(extensions("Features : fp asimd sve\n"), ["asimd", "sve"]);
        assert!(extensions("").is_empty());
    }

    #[test]
    fn the_signature_needs_all_three_numbers() {
        assert_eq!(signature(CPUINFO).as_deref(), Some("family 6 model 143 stepping 8"));
        assert_eq!(signature("model : 1\n"), None);
    }

    #[test]
    fn caches_and_nodes_are_those_of_linux_and_what_is_not_there_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let caches_of =
            [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "2048K"), ("3", "Unified", "")];
        for (index, (level, kind, size)) in caches_of.into_iter().enumerate() {
            let cache = folder.path().join(format!("index{index}"));
            fs::create_dir(&cache).unwrap();
            for (name, value) in [("level", level), ("type", kind), ("size", size)] {
                fs::write(cache.join(name), format!("{value}\n")).unwrap();
            }
        }
        assert_eq!(caches(folder.path()), ["L1d 48 KiB", "L2 2 MiB"]);
        assert_eq!(nodes(folder.path()), None);
        ["node0", "node1", "online"].iter().for_each(|name| fs::create_dir(folder.path().join(name)).unwrap());
        assert_eq!(nodes(folder.path()), Some(2));
        let nowhere = folder.path().join("nowhere");
        assert_eq!((line(&nowhere), caches(&nowhere), nodes(&nowhere)), (None, Vec::new(), None));
    }

    #[test]
    fn the_machine_says_something_about_itself() {
        let machine = Machine::detect();
        assert!(machine.instruction_sets.contains(&machine.instruction_set));
        assert!(1 <= machine.usable && machine.usable <= machine.processors);
        assert!(machine.memory_free <= machine.memory);
    }
}
