//! What the command line says of itself to shells and to `man`, and a reader that goes away.

use std::process::{Command, Stdio};

use crate::site::Site;

/// Bash takes the script, and completes by it.
#[test]
fn a_shell_completes_commands_options_and_values() {
    let site = Site::new();
    for (shell, sign) in [("bash", "complete -F _ringmaster"), ("zsh", "#compdef ringmaster"), ("fish", "complete -c ringmaster")] {
        let (code, script, errors) = site.ringmaster(&["completions", shell]);
        assert!(code == 0 && script.contains(sign), "{shell}: {errors}\n{script}");
    }
    let (_, script, _) = site.ringmaster(&["completions", "bash"]);
    site.write("ringmaster.bash", &script);
    let complete = |words: &str| {
        let program = format!(
            "source ringmaster.bash; COMP_WORDS=({words} ''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _ringmaster ringmaster '' ''; echo \"${{COMPREPLY[*]}}\""
        );
        let done = Command::new("bash").args(["-c", &program]).current_dir(site.folder.path()).output().expect("there is a bash");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("UTF-8")
    };
    assert!(complete("ringmaster").split_whitespace().any(|word| word == "overview"));
    assert!(complete("ringmaster saga").split_whitespace().any(|word| word == "why"));
    let shells: Vec<String> = complete("ringmaster completions").split_whitespace().map(str::to_owned).collect();
    assert!(["bash", "zsh", "fish"].iter().all(|shell| shells.iter().any(|word| word == shell)), "{shells:?}");
}

/// Not files, of which there is one here.
#[test]
fn a_shell_completes_what_a_saga_is_waited_for() {
    let site = Site::new();
    let script = site.ringmaster(&["completions", "bash"]).1;
    site.write("ringmaster.bash", &script);
    // The word before is the option: by it the script tells what comes.
    let program = "source ringmaster.bash; COMP_WORDS=(ringmaster saga wait a/1 --for ''); COMP_CWORD=5; \
                   _ringmaster ringmaster '' --for; echo \"${COMPREPLY[*]}\"";
    let done = Command::new("bash").args(["-c", program]).current_dir(site.folder.path()).output().expect("there is a bash");
    let offered = String::from_utf8(done.stdout).expect("UTF-8");
    assert_eq!(
        offered.trim(),
        "ended completed compensated stuck parked paused step=",
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// A participant alone is neither a script nor a command; who acts has a name.
#[test]
fn a_wrong_command_line_is_told_with_what_is_right() {
    let site = Site::new();
    let told = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = site.command(arguments);
        let done = command.env_remove("USER").env_remove("RINGMASTER_CONFIG").envs(variables.iter().copied()).output();
        let done = done.expect("it starts");
        (done.status.code(), String::from_utf8(done.stderr).expect("UTF-8"))
    };
    let (code, errors) = told(&["participants"], &[]);
    let has_all = ["pause", "resume", "list", "show", "scaling", "<SCRIPT>"].iter().all(|word| errors.contains(word));
    assert!(code == Some(2) && has_all && !errors.contains("were not provided"), "{errors}");
    let (code, errors) = told(&["participants"], &[("RINGMASTER_CONFIG", "ringmaster.toml")]);
    assert!(code == Some(2) && errors.contains("a script, or a command: pause, resume, list, show or scaling"), "{errors}");
    let cancel = ["act", "cancel", "order-fulfilment/ord-1", "--yes", "--why", "asked by phone"];
    let (code, errors) = told(&cancel, &[]);
    assert!(code == Some(2) && errors.contains("say who acts by --by NAME, or by the variable USER"), "{errors}");
    let (code, errors) = told(&["participant", "pause", "payment", "--why", "they move"], &[]);
    assert!(code == Some(2) && errors.contains("by --by NAME, or by the variable USER"), "{errors}");
    let (code, errors) = told(&cancel, &[("USER", "ann")]);
    assert!(code == Some(5), "nobody answers: {errors}");
}

/// The port's paths are in the plural.
#[test]
fn commands_are_also_called_as_the_port_calls_them() {
    let site = Site::new();
    for (one, many) in [("saga", "sagas"), ("participant", "participants"), ("act-list", "acts")] {
        let help = |name| site.ringmaster(&[name, "--help"]);
        assert_eq!(help(one), help(many));
        assert_eq!(help(one).0, 0);
    }
}

#[test]
fn there_is_a_page_for_each_command() {
    let site = Site::new();
    // A file of settings that is wrong is no reason not to have them.
    site.write("ringmaster.toml", "prefx = 'x'\n");
    let (code, said, errors) = site.ringmaster(&["man", "--out", "man/man1"]);
    assert!(code == 0 && said.contains("man/man1"), "{errors}");
    for page in ["ringmaster", "ringmaster-overview", "ringmaster-saga-list", "ringmaster-quarantine-redrive"] {
        let text = std::fs::read_to_string(site.folder.path().join(format!("man/man1/{page}.1"))).expect(page);
        assert!(text.contains(".TH ") && text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    let (code, _, errors) = site.ringmaster(&["man", "--out", "ringmaster.toml"]);
    assert!(code == 1 && errors.starts_with("ringmaster.toml: "), "{code} {errors}");
}

/// As with `| head -1`: it has what it wanted.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let site = Site::new();
    for arguments in [&["config"][..], &["completions", "fish"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let child = site.command(arguments).stdout(Stdio::from(writer)).stderr(Stdio::piped()).spawn().expect("it starts");
        let done = child.wait_with_output().expect("it ends");
        assert_eq!((done.status.code(), &done.stderr[..]), (Some(0), &b""[..]), "{arguments:?}");
    }
}
