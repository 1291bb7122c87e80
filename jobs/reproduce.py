"""Build the library of a preset, train its surrogate and evaluate it; skip finished stages."""

from fwdecg.experiment import command_line


def main() -> None:
    """Run the stages and print their results."""
    parser = command_line.job_parser(str(__doc__))
    parser.add_argument(
        "--tune",
        action="store_true",
        help="first search hyperparameters like the job tune, then use the best settings",
    )
    arguments = parser.parse_args()
    experiment = command_line.load_experiment(arguments)

    from fwdecg.experiment.reproduction import reproduce
    from fwdecg.runtime.cost import cost_text

    command_line.connect_to_ray()
    done = reproduce(experiment, search=arguments.tune)
    training, evaluation = map(done.experiment.folder, ("training", "evaluation"))
    command_line.print_report(evaluation)
    print(f"library     {experiment.library_store.label()}")
    if arguments.tune:
        print(f"search      {experiment.folder('tuning')}")
    print(f"training    {training}")
    print(f"evaluation  {evaluation}, with pictures in its folder figures")
    print("cost")
    for stage, cost in done.costs.items():
        print(f"  {stage:10}  {cost_text(cost)}")


if __name__ == "__main__":
    command_line.run_job(main)
