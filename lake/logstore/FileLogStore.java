package lake.logstore;

import io.delta.storage.HadoopFileSystemLogStore;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Iterator;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Delta commits in a folder as hard links: safe for any number of processes on one machine.
 *
 * <p>Delta's own LocalLogStore guards the writers of one JVM only. Here a commit is written whole beside its place, flushed, and linked to its
 * name; the kernel links a name once. Nobody ever reads half a commit, also after a loss of power.
 */
public final class FileLogStore extends HadoopFileSystemLogStore {
  public FileLogStore(Configuration conf) {
    super(conf);
  }

  @Override
  public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration conf) throws IOException {
    java.nio.file.Path target = Paths.get(path.toUri().getPath());
    java.nio.file.Path folder = target.getParent();
    Files.createDirectories(folder);
    if (!overwrite && Files.exists(target)) throw new FileAlreadyExistsException(target.toString());
    java.nio.file.Path whole = folder.resolve("." + UUID.randomUUID() + ".lake-part");
    try {
      writeWhole(whole, actions);
      // Hadoop's checksum of an older file of this name would make the new one look corrupt.
      Files.deleteIfExists(folder.resolve("." + target.getFileName() + ".crc"));
      if (overwrite) Files.move(whole, target, StandardCopyOption.ATOMIC_MOVE);
      else link(whole, target);
      flushFolder(folder);
    } finally {
      Files.deleteIfExists(whole);
    }
  }

  /** Checkpoints are written by Hadoop straight to their name: Delta must go on writing those beside and renaming them. */
  @Override
  public Boolean isPartialWriteVisible(Path path, Configuration conf) {
    return true;
  }

  private static void writeWhole(java.nio.file.Path whole, Iterator<String> actions) throws IOException {
    try (FileChannel file = FileChannel.open(whole, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        OutputStream out = new java.io.BufferedOutputStream(Channels.newOutputStream(file))) {
      while (actions.hasNext()) out.write((actions.next() + "\n").getBytes(StandardCharsets.UTF_8));
      out.flush();
      file.force(true);
    }
  }

  private static void link(java.nio.file.Path whole, java.nio.file.Path target) throws IOException {
    try {
      Files.createLink(target, whole);
    } catch (FileAlreadyExistsException there) {
      // A network file system may have lost the answer to a link that was made: then there are two names of our own file.
      if (!Files.exists(target) || !Files.isSameFile(whole, target)) throw there;
    } catch (UnsupportedOperationException none) {
      throw new IOException("no hard links in " + target.getParent() + ": put LAKE_ROOT on a local disk, or in a bucket", none);
    }
  }

  private static void flushFolder(java.nio.file.Path folder) {
    try (FileChannel names = FileChannel.open(folder, StandardOpenOption.READ)) {
      names.force(true);
    } catch (IOException unsupported) {
      // The name is durable a little later on systems that cannot flush a folder.
    }
  }
}
