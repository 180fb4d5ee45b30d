//! SQLite's file layer over a [`Disk`]: a table of C functions.
//!
//! Unsafe because SQLite's interface is, and in tests only, because SQLite takes no safe file layer. It is sound for these
//! reasons: SQLite calls each function with pointers of the types that its documentation of `sqlite3_vfs` and
//! `sqlite3_io_methods` promises; a `sqlite3_file` that it passes was filled in by `open` and not closed; the disk is never
//! freed; shared-memory regions are never moved or freed.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use rusqlite::ffi;

use super::{Disk, Failed};

#[repr(C)]
struct Open {
    base: ffi::sqlite3_file,
    disk: *const Disk,
    /// A `CString` turned into a pointer.
    name: *mut c_char,
    delete_on_close: bool,
    level: c_int,
    shared_slots: u8,
    exclusive_slots: u8,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

pub(super) fn register(disk: &'static Disk) {
    let name = CString::new(disk.layer).expect("no zero in a name");
    let layer = ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<Open>() as c_int,
        mxPathname: 512,
        pNext: ptr::null_mut(),
        zName: name.into_raw(),
        pAppData: ptr::from_ref(disk).cast_mut().cast(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    };
    // SAFETY: the layer and its name are leaked, as SQLite requires of a registered layer.
    let code = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(layer)), 0) };
    assert_eq!(code, ffi::SQLITE_OK);
}

/// # Safety
/// `layer` is one of [`register`]'s.
unsafe fn disk_of(layer: *mut ffi::sqlite3_vfs) -> &'static Disk {
    unsafe { &*(*layer).pAppData.cast::<Disk>() }
}

/// # Safety
/// `file` was filled in by [`open`] and not closed.
unsafe fn of<'a>(file: *mut ffi::sqlite3_file) -> (&'a mut Open, &'static Disk, &'a str) {
    unsafe {
        let open = &mut *file.cast::<Open>();
        let (disk, name) = (&*open.disk, CStr::from_ptr(open.name));
        (open, disk, name.to_str().expect("names are ours"))
    }
}

fn code(result: Result<(), Failed>, failed: c_int) -> c_int {
    if result.is_ok() { ffi::SQLITE_OK } else { failed }
}

unsafe extern "C" fn open(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    unsafe {
        (*file).pMethods = ptr::null();
        let disk = disk_of(layer);
        let mut state = disk.state();
        let name = if name.is_null() {
            state.temporary += 1;
            CString::new(format!("temporary-{}", state.temporary)).expect("no zero in a name")
        } else {
            CStr::from_ptr(name).to_owned()
        };
        let text = name.to_str().expect("names are ours").to_owned();
        let exists = state.files.contains_key(&text);
        if state.alive().is_err() || (!exists && flags & ffi::SQLITE_OPEN_CREATE == 0) {
            return ffi::SQLITE_CANTOPEN;
        }
        state.files.entry(text).or_default();
        file.cast::<Open>().write(Open {
            base: ffi::sqlite3_file { pMethods: &METHODS },
            disk,
            name: name.into_raw(),
            delete_on_close: flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0,
            level: 0,
            shared_slots: 0,
            exclusive_slots: 0,
        });
        if !out_flags.is_null() {
            *out_flags = flags;
        }
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        unlock(file, 0);
        shm_unmap(file, 0);
        let (open, disk, name) = of(file);
        if open.delete_on_close {
            disk.state().files.remove(name);
        }
        drop(CString::from_raw(open.name));
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    unsafe {
        let (_, disk, name) = of(file);
        let state = disk.state();
        if state.alive().is_err() {
            return ffi::SQLITE_IOERR_READ;
        }
        let to = std::slice::from_raw_parts_mut(to.cast::<u8>(), amount as usize);
        let content = state.files.get(name).map_or(&[][..], |file| &file.now);
        let from = content.get(offset as usize..).unwrap_or(&[]);
        let count = from.len().min(to.len());
        to[..count].copy_from_slice(&from[..count]);
        to[count..].fill(0);
        if count < to.len() { ffi::SQLITE_IOERR_SHORT_READ } else { ffi::SQLITE_OK }
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    unsafe {
        let (_, disk, name) = of(file);
        let from = std::slice::from_raw_parts(from.cast::<u8>(), amount as usize);
        code(disk.state().write(name, offset as usize, from), ffi::SQLITE_IOERR_WRITE)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    let (_, disk, name) = unsafe { of(file) };
    code(disk.state().truncate(name, size as usize), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    let (_, disk, name) = unsafe { of(file) };
    code(disk.state().sync(name), ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    unsafe {
        let (_, disk, name) = of(file);
        *size = disk.state().files.get(name).map_or(0, |file| file.now.len() as i64);
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    let (open, disk, name) = unsafe { of(file) };
    let mut state = disk.state();
    let locks = &mut state.files.entry(name.to_owned()).or_default().locks;
    if open.level >= level {
        return ffi::SQLITE_OK;
    }
    if open.level < ffi::SQLITE_LOCK_SHARED {
        if locks.is_exclusive {
            return ffi::SQLITE_BUSY;
        }
        locks.shared += 1;
        open.level = ffi::SQLITE_LOCK_SHARED;
    }
    if level >= ffi::SQLITE_LOCK_RESERVED && open.level < ffi::SQLITE_LOCK_RESERVED {
        if locks.is_reserved {
            return ffi::SQLITE_BUSY;
        }
        locks.is_reserved = true;
        open.level = ffi::SQLITE_LOCK_RESERVED;
    }
    if level == ffi::SQLITE_LOCK_EXCLUSIVE {
        if locks.shared > 1 {
            return ffi::SQLITE_BUSY;
        }
        locks.is_exclusive = true;
        open.level = ffi::SQLITE_LOCK_EXCLUSIVE;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    let (open, disk, name) = unsafe { of(file) };
    let mut state = disk.state();
    // After a power cut the locks are gone, and others may have them.
    let Some(locks) = state.files.get_mut(name).map(|file| &mut file.locks) else {
        return ffi::SQLITE_OK;
    };
    if open.level >= ffi::SQLITE_LOCK_RESERVED && level < ffi::SQLITE_LOCK_RESERVED {
        locks.is_reserved = false;
        locks.is_exclusive = false;
    }
    if open.level >= ffi::SQLITE_LOCK_SHARED && level < ffi::SQLITE_LOCK_SHARED {
        locks.shared = locks.shared.saturating_sub(1);
    }
    open.level = open.level.min(level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, is_reserved: *mut c_int) -> c_int {
    unsafe {
        let (_, disk, name) = of(file);
        *is_reserved = disk.state().files.get(name).is_some_and(|file| file.locks.is_reserved).into();
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn file_control(_file: *mut ffi::sqlite3_file, _op: c_int, _arg: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    super::SECTOR as c_int
}

/// What SQLite assumes of every disk under Unix.
unsafe extern "C" fn device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    index: c_int,
    size: c_int,
    extend: c_int,
    region: *mut *mut c_void,
) -> c_int {
    unsafe {
        let (_, disk, name) = of(file);
        let mut state = disk.state();
        *region = ptr::null_mut();
        if state.alive().is_err() {
            return ffi::SQLITE_IOERR_SHMMAP;
        }
        let regions = &mut state.files.entry(name.to_owned()).or_default().regions;
        while extend != 0 && regions.len() <= index as usize {
            let fresh: &'static mut [u64] = Box::leak(vec![0_u64; size as usize / 8].into_boxed_slice());
            regions.push(fresh.as_mut_ptr() as usize);
        }
        if let Some(address) = regions.get(index as usize) {
            *region = *address as *mut c_void;
        }
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let (open, disk, name) = unsafe { of(file) };
    let mut state = disk.state();
    let slots = &mut state.files.entry(name.to_owned()).or_default().slots;
    let range = offset as usize..(offset + count) as usize;
    let is_exclusive = flags & ffi::SQLITE_SHM_EXCLUSIVE != 0;
    if flags & ffi::SQLITE_SHM_LOCK != 0 {
        let free = |index: usize| {
            let mine = u32::from(open.shared_slots >> index & 1);
            !slots[index].is_exclusive && (!is_exclusive || slots[index].shared == mine)
        };
        if !range.clone().all(free) {
            return ffi::SQLITE_BUSY;
        }
    }
    for index in range {
        let (slot, bit) = (&mut slots[index], 1_u8 << index);
        match (flags & ffi::SQLITE_SHM_LOCK != 0, is_exclusive) {
            (true, true) => {
                slot.is_exclusive = true;
                open.exclusive_slots |= bit;
            }
            (true, false) if open.shared_slots & bit == 0 => {
                slot.shared += 1;
                open.shared_slots |= bit;
            }
            (true, false) => {}
            (false, _) => {
                release(slot, open, bit);
            }
        }
    }
    ffi::SQLITE_OK
}

fn release(slot: &mut super::Slot, open: &mut Open, bit: u8) {
    if open.exclusive_slots & bit != 0 {
        slot.is_exclusive = false;
        open.exclusive_slots &= !bit;
    }
    if open.shared_slots & bit != 0 {
        slot.shared = slot.shared.saturating_sub(1);
        open.shared_slots &= !bit;
    }
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    let (open, disk, name) = unsafe { of(file) };
    let mut state = disk.state();
    if let Some(file) = state.files.get_mut(name) {
        for (index, slot) in file.slots.iter_mut().enumerate() {
            release(slot, open, 1 << index);
        }
        if delete != 0 {
            file.regions.clear();
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(layer: *mut ffi::sqlite3_vfs, name: *const c_char, _sync_dir: c_int) -> c_int {
    let (disk, name) = unsafe { (disk_of(layer), CStr::from_ptr(name)) };
    let mut state = disk.state();
    if state.alive().is_err() {
        return ffi::SQLITE_IOERR_DELETE;
    }
    match state.files.remove(name.to_str().expect("names are ours")) {
        Some(_) => ffi::SQLITE_OK,
        None => ffi::SQLITE_IOERR_DELETE_NOENT,
    }
}

unsafe extern "C" fn access(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    unsafe {
        let name = CStr::from_ptr(name).to_str().expect("names are ours");
        // An empty log file counts as none, as in SQLite's own layer.
        *out = disk_of(layer).state().files.get(name).is_some_and(|file| !file.now.is_empty()).into();
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn full_pathname(
    _layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    space: c_int,
    out: *mut c_char,
) -> c_int {
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > space as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
        ffi::SQLITE_OK
    }
}

/// Always the same sequence: the same test is the same run.
unsafe extern "C" fn randomness(layer: *mut ffi::sqlite3_vfs, count: c_int, out: *mut c_char) -> c_int {
    unsafe {
        let mut state = disk_of(layer).state();
        for index in 0..count as usize {
            state.random = state.random.wrapping_mul(5).wrapping_add(41);
            *out.add(index) = state.random as c_char;
        }
        count
    }
}

unsafe extern "C" fn sleep(_layer: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    std::thread::yield_now();
    microseconds
}

unsafe extern "C" fn current_time(_layer: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    unsafe { *out = 2_461_000.0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_int64(_layer: *mut ffi::sqlite3_vfs, out: *mut i64) -> c_int {
    unsafe { *out = 2_461_000 * 86_400_000 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_layer: *mut ffi::sqlite3_vfs, _space: c_int, _out: *mut c_char) -> c_int {
    0
}
