//! The report as JUnit XML, for continuous integration: a suite a diagram, a case an arrow.

use std::time::Duration;

use blueprint::Diagram;
use quick_junit::{NonSuccessKind, Report as JunitReport, TestCase, TestCaseStatus, TestSuite};

use super::{ArrowReport, Falsification, Outcome, Report, Status};

impl Report {
    /// JUnit XML: a broken arrow is a failure, an absent one is skipped, the evidence is the case's output. An arrow
    /// that was to be falsified and was not is a failure of its own type.
    pub fn to_junit(&self) -> String {
        let mut junit = JunitReport::new(format!("arrows of lab {} ({})", self.lab, self.engine));
        junit.set_time(Duration::from_millis(self.took_ms));
        for diagram in Diagram::ALL {
            let mut suite = TestSuite::new(diagram.title());
            let arrows = self.arrows.iter();
            for report in arrows.filter(|report| report.arrow.diagram() == diagram) {
                suite.add_test_case(test_case(diagram, report));
            }
            if !suite.test_cases.is_empty() {
                junit.add_test_suite(suite);
            }
        }
        junit
            .to_string()
            .expect("XML of text in memory cannot fail to be written")
    }
}

fn test_case(diagram: Diagram, report: &ArrowReport) -> TestCase {
    let mut case = TestCase::new(report.arrow.id(), status(report));
    case.set_classname(format!("verify.{}", diagram.title().to_lowercase()));
    case.set_time(Duration::from_millis(report.took_ms));
    if let Outcome::Proven { evidence } = &report.outcome {
        case.set_system_out(evidence);
    }
    case
}

fn status(report: &ArrowReport) -> TestCaseStatus {
    let failure = |kind: &str, reason: &str| {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type(kind).set_message(reason);
        status
    };
    match (&report.outcome, &report.falsification) {
        (Outcome::Absent { reason, remedy }, _) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("{reason}; {remedy}"));
            status
        }
        (Outcome::Broken { reason, remedy }, _) => {
            let mut status = failure(Status::Broken.name(), reason);
            status.set_description(remedy);
            status
        }
        (Outcome::Proven { .. }, Some(Falsification::NotFalsified { reason })) => {
            failure("not-falsified", reason)
        }
        (Outcome::Proven { .. }, Some(Falsification::Falsified) | None) => {
            TestCaseStatus::success()
        }
    }
}
