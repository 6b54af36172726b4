"""What each scene must see, wherever it is played."""

EXPECTED: dict[str, list[object]] = {
    "gen_server_scene": [6, 8, ("echo", "x"), "RuntimeError: boom", "bye", False],
    "gen_statem_scene": ["creak", "open already", "creak"],
    "gen_event_scene": [15, []],
    "supervisor_scene": [True, 1, True, "shutdown"],
    "dynamic_supervisor_scene": [1, 1, False],
    "task_supervisor_scene": [49, 0, 1, 4, 9],
    "gen_stage_scene": [0, 1, 4, 9, 16, 25, 36, 49, 64, 81, "CallFailed"],
    "registry_scene": [("echo", 1), []],
    "pg_scene": [True, []],
    "global_names_scene": [6, False, None, True, False, True],
}
