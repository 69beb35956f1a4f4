//! A bootstrap that is killed after any of its steps, or in the middle of one, is gone on with by the next.

use lab_tests::kind_lab::{KindLab, Next, step};

use crate::{STEPS, objects, secrets, workloads};

#[test]
fn a_bootstrap_goes_on_from_wherever_it_was_killed() {
    let Some(lab) = KindLab::new("a_bootstrap_goes_on_from_wherever_it_was_killed") else {
        return;
    };
    let mut known_secrets = None;
    let mut known_objects = None;
    let position = |name: &str| STEPS.iter().position(|step| *step == name).unwrap();
    let (secrets_made, argocd_applied) = (position("secrets"), position("argo cd"));
    for (index, killed) in STEPS.into_iter().chain(["applications"]).enumerate() {
        // At its first line a step has begun; at the second it is done.
        for count in [1, 2] {
            let mut seen = 0;
            let said = lab.bootstrap_watched(|line| {
                seen += usize::from(step(line).is_some_and(|(name, _)| name == killed));
                if seen == count { Next::Kill } else { Next::Go }
            });
            assert_eq!((said.code, seen), (None, count), "{killed}: {said:#?}");
            // The runs before this one have got as far as the steps before.
            if index > secrets_made {
                let now = secrets(&lab);
                assert_eq!(known_secrets.get_or_insert(now.clone()), &now, "{killed}");
            }
            if index > argocd_applied {
                let now = objects(&lab);
                assert_eq!(known_objects.get_or_insert(now.clone()), &now, "{killed}");
            }
        }
    }
    lab.bootstrap().line("The lab `default` is up");
    assert_eq!(Some(secrets(&lab)), known_secrets);
    assert_eq!(Some(objects(&lab)), known_objects);
    let workloads_before = workloads(&lab);
    lab.bootstrap()
        .line("The lab `default` is up; nothing changed");
    assert_eq!(workloads(&lab), workloads_before);

    // The same as in a lab that was never killed.
    let names = |lab: &KindLab| {
        [objects(lab), workloads(lab)].map(|all| {
            let named = all
                .into_keys()
                .filter(|name| !name.starts_with("Pod/") || name.ends_with("-0"));
            named.collect::<Vec<_>>()
        })
    };
    let killed = (
        names(&lab),
        lab.engine(|engine| (engine.has(), engine.files.clone())),
    );
    lab.run(&["down"]).with_code(0);
    lab.engine(|engine| engine.files.clear());
    lab.bootstrap();
    assert_eq!(
        (
            names(&lab),
            lab.engine(|engine| (engine.has(), engine.files.clone()))
        ),
        killed
    );
}

#[test]
fn a_cluster_that_is_half_made_is_made_anew() {
    let Some(lab) = KindLab::new("a_cluster_that_is_half_made_is_made_anew") else {
        return;
    };
    lab.engine(|engine| engine.hang("kind create cluster"));
    let is_half_made =
        || lab.engine(|engine| engine.containers.contains_key("lab-default-control-plane"));
    let said = lab.bootstrap_watched(|line| {
        if step(line) == Some(("cluster", "kind creates it")) {
            lab_tests::wait::until_blocking("a node", || {
                is_half_made().then_some(()).ok_or("none")
            });
            return Next::Kill;
        }
        Next::Go
    });
    assert_eq!(said.code, None, "{said:#?}");
    lab.engine(|engine| engine.mend());
    let said = lab.bootstrap();
    said.line("Removing a cluster that an interrupted bootstrap left half made");
    said.line("The lab `default` is up");
}

#[test]
fn a_down_goes_on_from_wherever_it_was_killed() {
    let Some(lab) = KindLab::new("a_down_goes_on_from_wherever_it_was_killed") else {
        return;
    };
    // What comes next hangs, so that the kill is not too late for it.
    let killed_after = |beginning: &str, next: &str| {
        lab.engine(|engine| engine.hang(next));
        let said = lab.run_watched(&["down"], |line| {
            if line.starts_with(beginning) {
                Next::Kill
            } else {
                Next::Go
            }
        });
        said.line(beginning);
        lab.engine(|engine| engine.mend());
    };
    lab.bootstrap().line("The lab `default` is up");
    killed_after("Deleted the cluster", "docker ps");
    // Half a lab is brought up as well as none.
    lab.bootstrap().line("The lab `default` is up");
    for (beginning, next) in [
        ("Deleted the cluster", "docker ps"),
        ("Removed the container", "docker network rm"),
        ("Removed the network", "docker volume rm"),
    ] {
        killed_after(beginning, next);
    }
    lab.run(&["down"])
        .with_code(0)
        .line("Nothing of the lab `default` is left");
    assert_eq!(lab.engine(|engine| engine.has()), [""; 0]);
}
