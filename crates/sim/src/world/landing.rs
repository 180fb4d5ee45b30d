//! What happens when something in flight arrives.

use gundo_kernel::Input;
use gundo_types::NodeId;

use super::{EASE_SECONDS, Flight, World};

impl World {
    pub(super) fn land(&mut self, flight: Flight) {
        match flight {
            Flight::Peer { to, from, label, message } => {
                // A link breaks when the node at either end ends.
                if self.nodes.contains_key(&from) {
                    self.input(to, Input::Peer { from: NodeId(from.node), label, message });
                }
            }
            Flight::ToNode { node, conn, message } => {
                if !self.gone.contains(&conn) {
                    let message = self.carry_client(message);
                    self.input(node, Input::Client { conn, message });
                }
            }
            Flight::ToClient { client, conn, parts } => self.on_client_bytes(client, conn, &parts),
            Flight::Opened { client, conn } => self.on_opened(client, conn),
            Flight::Broken { client, conn } => self.on_broken(client, conn),
            Flight::Gone { node, conn } => {
                self.conns.remove(&conn);
                // An edge reports it to its node once.
                if self.gone.insert(conn) {
                    self.input(node, Input::Gone { conn });
                }
            }
            Flight::NodeTimer(key) => {
                if self.nodes.get_mut(&key).is_some_and(|node| node.kernel.is_woken(self.now)) {
                    self.input(key, Input::Timeout);
                }
            }
            Flight::ClientTimer(client) => self.on_client_timer(client),
            Flight::View { node, view } => self.input(node, Input::View(view)),
            Flight::Resume(key) => self.resume(key),
            Flight::Turn(key) => self.next_turn(key),
            Flight::Measure => self.measure(),
            Flight::OrderAgain(request) => self.give_order(request),
            Flight::Drained(client) => self.drained(client),
            Flight::ZombieEnds(generation) => self.end_generation(generation),
            Flight::LinkBroken { node, peer, incarnation: of } => self.link_broken(node, peer, of),
            Flight::Reset { dial, a, b } => self.reset_now(dial, a, b),
            Flight::LinkLost { node, peer } => self.input(node, Input::LinkLost { peer }),
            Flight::Row { node, sent, stands } => self.input(node, Input::Row { sent, stands }),
            Flight::CutEnds(cut) => self.cut_ends(cut),
            Flight::Asked { node, what } => self.asked(node, what),
            Flight::Renewed { node, sent, renewal } => self.input(node, Input::Renewed { sent, renewal }),
            Flight::LeaseEnds(incarnation) => self.lease_ends(incarnation),
            Flight::Fenced(key) => self.fenced(key),
            Flight::Emptied(key) => self.emptied(key),
            Flight::NodeStarts(key) => self.node_starts(key),
            Flight::Boot => self.boot(),
            Flight::Step(person) => self.step(person),
            Flight::Arrive(person) => self.arrive(person),
            Flight::Quits(person) => self.quit(person),
            Flight::Fault(dial) => self.fault(dial),
            Flight::Echo => self.echo(),
            Flight::StallEnds(stall) => self.stall_ends(stall),
            Flight::WatchesAgain(node) => self.watches_again(node),
            Flight::FailsOver => self.fail_over(),
            Flight::Generation(key) => self.tell_generation(key),
            Flight::RoomAgain => self.tell_room(false),
            Flight::Ease(key) => self.tell_load(key, 0, EASE_SECONDS),
            Flight::Commit
            | Flight::Completed { .. }
            | Flight::Loaded { .. }
            | Flight::Listed { .. }
            | Flight::Woken { .. }
            | Flight::Late => self.land_from_storage(flight),
        }
    }

    fn land_from_storage(&mut self, flight: Flight) {
        match flight {
            Flight::Commit => self.commit(),
            Flight::Completed { node, batch, outcome } => {
                self.input(node, Input::Appended { batch, outcome })
            }
            Flight::Loaded { node, entity, load } => {
                let failed = |why| Input::Loaded { entity, load, result: Err(why) };
                let input = self.storage.readable(self.now).map(|disk| disk.load(entity, load));
                self.input(node, input.unwrap_or_else(failed));
            }
            Flight::Listed { node, kind, ids, max, list } => {
                let failed = |why| Input::Listed { kind, list, result: Err(why) };
                let input = self.storage.readable(self.now).map(|disk| disk.list(kind, ids, max, list));
                self.input(node, input.unwrap_or_else(failed));
            }
            Flight::Woken { node, asked, list } => {
                let failed = |why| Input::Woken { list, result: Err(why) };
                let input = self.storage.readable(self.now).map(|disk| disk.wakes(asked, list));
                self.input(node, input.unwrap_or_else(failed));
            }
            Flight::Late => {
                self.storage.arrive(self.now);
                self.schedule_commit();
            }
            _ => unreachable!("only what comes from the storage is given here"),
        }
    }
}
