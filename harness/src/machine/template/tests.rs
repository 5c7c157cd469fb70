use super::*;

fn making(place: &Place) -> Making {
    match place.begin("key").unwrap() {
        Begun::Making(making) => making,
        Begun::Made(template) => panic!("{template:?}"),
    }
}

fn make(place: &Place) -> Template {
    let making = making(place);
    fs::write(making.path.join(RAM), b"memory").unwrap();
    let finished = making.finish(vec!["input".into()], b"state", FromGuest::Done);
    finished.unwrap()
}

fn names(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(&place.0).unwrap().flatten();
    entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_template_is_made_once_and_found_again() {
    let cache = tempfile::tempdir().unwrap();
    let place = Place::of(cache.path());
    assert!(Template::open(&place.dir("key")).is_none());
    let made = make(&place);
    assert_eq!(
        (made.state(), made.hello()),
        (&b"state"[..], &FromGuest::Done)
    );
    assert_eq!(fs::read(made.ram()).unwrap(), b"memory");
    assert!(matches!(place.begin("key").unwrap(), Begun::Made(_)));
    assert_eq!(names(&place), ["key"]);
}

#[test]
fn two_makers_make_one() {
    let cache = tempfile::tempdir().unwrap();
    let place = Place::of(cache.path());
    let first = making(&place);
    let waiting = {
        let place = place.clone();
        std::thread::spawn(move || matches!(place.begin("key").unwrap(), Begun::Made(_)))
    };
    fs::write(first.path.join(RAM), b"memory").unwrap();
    first.finish(Vec::new(), b"state", FromGuest::Done).unwrap();
    assert!(waiting.join().unwrap());
    assert_eq!(names(&place), ["key"]);
}

#[test]
fn what_is_not_whole_is_not_used_and_is_made_again() {
    let cache = tempfile::tempdir().unwrap();
    let place = Place::of(cache.path());
    for (file, bytes) in [(STATE, "other"), (RAM, "short"), (RECORD, "{}")] {
        let made = make(&place);
        fs::write(made.dir().join(file), bytes).unwrap();
        assert!(Template::open(&place.dir("key")).is_none(), "{file}");
    }
    make(&place);
    assert!(Template::open(&place.dir("key")).is_some());
    fs::rename(place.dir("key"), place.dir("other")).unwrap();
    assert!(Template::open(&place.dir("other")).is_none(), "of another");
}

#[test]
fn half_a_template_goes_with_its_maker_or_is_swept() {
    let cache = tempfile::tempdir().unwrap();
    let place = Place::of(cache.path());
    let half = making(&place);
    half.ram(1, None).unwrap();
    assert_eq!(place.sweep(), 0, "its maker lives");
    drop(half);
    assert!(names(&place).is_empty());

    // As after `kill -9`: no destructor ran, and the descriptor of the lock is closed.
    let dead = place.0.join(".making-key");
    fs::create_dir(&dead).unwrap();
    fs::write(dead.join(RAM), b"mem").unwrap();
    let again = making(&place);
    assert!(
        !again.path.join(RAM).exists(),
        "what was left is not built upon"
    );
    again.ram(1, None).unwrap();
    drop(again);
    fs::create_dir(&dead).unwrap();
    fs::write(dead.join(RAM), b"mem").unwrap();
    assert_eq!(place.sweep(), 1);
    assert!(names(&place).is_empty());
}

#[test]
fn no_other_user_reaches_the_memory_by_its_path() {
    let cache = tempfile::tempdir().unwrap();
    let making = making(&Place::of(cache.path()));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(making.dir()), 0o700);
    let ram = making.ram(1, None).unwrap();
    assert_eq!(mode(&ram), 0o600);
    fs::remove_file(&ram).unwrap();
    // Where another user's QEMU has to write to it: those of a group, and not everybody.
    let group = rustix::process::getegid().as_raw();
    making.ram(1, Some(group)).unwrap();
    assert_eq!(
        (mode(&ram), fs::metadata(&ram).unwrap().gid()),
        (0o660, group)
    );
}

#[test]
fn a_template_counts_as_used_when_it_is_opened() {
    let cache = tempfile::tempdir().unwrap();
    let place = Place::of(cache.path());
    let record = make(&place).dir().join(RECORD);
    let file = File::options().append(true).open(&record).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    Template::open(&place.dir("key")).unwrap();
    let modified = fs::metadata(&record).unwrap().modified().unwrap();
    assert!(modified > SystemTime::UNIX_EPOCH);
}

#[test]
fn that_a_guest_cannot_be_saved_is_remembered_for_a_while() {
    let cache = tempfile::tempdir().unwrap();
    let place = Place::of(cache.path());
    fs::create_dir_all(&place.0).unwrap();
    assert_eq!(place.refusal("key"), None);
    place.refuse("key", "QEMU does not say why");
    assert_eq!(
        place.refusal("key").as_deref(),
        Some("QEMU does not say why")
    );
    assert_eq!(place.refusal("other"), None);
    let file = File::options().append(true).open(place.refusal_file("key"));
    let long_ago = SystemTime::now() - REFUSED_FOR - Duration::from_secs(1);
    file.unwrap().set_modified(long_ago).unwrap();
    assert_eq!(place.refusal("key"), None);
    assert!(names(&place).is_empty());
}
