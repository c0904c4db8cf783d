import EventLog
import Segmentation

extension CommitLoop where Log: ~Copyable {
    /// Does what operators ask for, in a transaction that is committed at once; then answers.
    mutating func obey() throws(LoopFault) {
        let taken = mailbox.takeCommands()
        guard !taken.isEmpty else { return }
        commands = taken
        guard positions.owns(partition: 0) else {
            let reason = "this worker is not the trainer; ask the one that has partition 0"
            answerCommands(.failure(.refused(reason)))
            return
        }
        guard taken.contains(where: { core.refusal(of: $0.command) == nil }) else {
            for letter in taken {
                let reason = core.refusal(of: letter.command)?.description ?? ""
                letter.answer(.failure(.refused(reason)))
            }
            commands = []
            return
        }
        do throws(LoopFault) {
            try begin()
        } catch {
            // No transaction will end that could answer them, and none has changed anything.
            answerCommands(.failure(.aborted))
            throw error
        }
        var answers: [Result<String, MailboxError>] = []
        for letter in taken {
            do throws(CommandRefusal) {
                let outcome = try core.perform(letter.command, into: &output)
                answers.append(.success(outcome.description))
            } catch {
                answers.append(.failure(.refused(error.description)))
            }
        }
        try produceOutput()
        try commit()
        commands = []
        for (letter, answer) in zip(taken, answers) {
            letter.answer(answer)
            if case .success(let words) = answer { report(.commanded(words)) }
        }
    }

    /// Answers all commands of the open transaction alike.
    mutating func answerCommands(_ answer: Result<String, MailboxError>) {
        for letter in commands { letter.answer(answer) }
        commands = []
    }
}
