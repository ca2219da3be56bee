//! Every target over its seeds, over inputs near them, and over what once broke it.

use std::path::Path;

use fuzz::TARGETS;

/// What `make fuzz` found, kept: `findings/<target>/<name>`.
fn findings() -> impl Iterator<Item = (String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("findings");
    let targets = std::fs::read_dir(folder).into_iter().flatten().flatten();
    targets.flat_map(|target| {
        let name = target.file_name().to_string_lossy().into_owned();
        let files = std::fs::read_dir(target.path())
            .into_iter()
            .flatten()
            .flatten();
        #[expect(clippy::disallowed_methods, reason = "a test reads its files")]
        let read =
            move |file: std::fs::DirEntry| (name.clone(), std::fs::read(file.path()).unwrap());
        files.map(read)
    })
}

// A target that its own seeds break finds nothing else.
#[test]
fn every_target_holds_for_its_seeds() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{}", target.name);
        for seed in seeds {
            (target.run)(&seed);
        }
    }
}

// What a fuzzer would try first, in a second and without one.
#[test]
fn every_target_holds_near_its_seeds() {
    for target in TARGETS {
        (target.run)(&[]);
        for seed in (target.seeds)() {
            // Each place of a short seed, some of a long one.
            let step = (seed.len() / 16).max(1);
            for place in (0..seed.len()).step_by(step) {
                (target.run)(&seed[..place]);
                for byte in [0, b'"', b'}', 0xff] {
                    let mut near = seed.clone();
                    near[place] = byte;
                    (target.run)(&near);
                }
            }
        }
    }
}

// A fault that was found and mended comes back with the next change.
#[test]
fn what_was_found_stays_mended() {
    for (name, input) in findings() {
        let target = TARGETS.iter().find(|target| target.name == name);
        (target
            .unwrap_or_else(|| panic!("findings/{name} belongs to no target"))
            .run)(&input);
    }
}

// A target without a program is never run by `make fuzz`, and a program without a target has no seeds.
#[test]
fn every_target_has_its_program() {
    #[expect(clippy::disallowed_methods, reason = "a test reads its files")]
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let programs: Vec<_> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"fuzz-")?.strip_suffix('"'))
        .collect();
    assert_eq!(
        programs,
        TARGETS.iter().map(|target| target.name).collect::<Vec<_>>()
    );
}
