"""Build the library of a preset, train its surrogate and evaluate it; skip finished stages."""

from fwdecg.experiment.command_line import (
    connect_to_ray,
    job_parser,
    load_experiment,
    print_report,
    run_job,
)


def main() -> None:
    """Run the stages and print their results."""
    parser = job_parser(str(__doc__))
    parser.add_argument(
        "--tune",
        action="store_true",
        help="search hyperparameters first, as the job tune does; train and evaluate the best",
    )
    arguments = parser.parse_args()
    experiment = load_experiment(arguments)

    from fwdecg.experiment.reproduction import reproduce
    from fwdecg.runtime.cost import cost_text

    connect_to_ray()
    done = reproduce(experiment, search=arguments.tune)
    evaluation = done.experiment.evaluation_folder
    print_report(evaluation)
    print(f"library     {experiment.library_store.label()}")
    if arguments.tune:
        print(f"search      {experiment.tuning_folder}")
    print(f"training    {done.experiment.training_folder}")
    print(f"evaluation  {evaluation}, with pictures in its folder figures")
    print("cost")
    for stage, cost in done.costs.items():
        print(f"  {stage:10}  {cost_text(cost)}")


if __name__ == "__main__":
    run_job(main)
